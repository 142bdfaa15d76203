"""The public mammography data sets, as they were released."""

from mcd import Component, hookimpl

_HOME = "mcd_plugins.cohorts"


@hookimpl
def mcd_register_datasets() -> list[Component]:
    """Offer the data sets."""
    return [
        Component(
            "vindr-mammo",
            f"{_HOME}.vindr:VinDrMammo",
            "VinDr-Mammo 1.0.0: DICOM, BI-RADS, density, boxes",
            files=("*/breast-level_annotations.csv",),
        ),
        Component(
            "vindr-png",
            f"{_HOME}.vindr:VinDrPng",
            "VinDr-Mammo as PNGs in Mammo-CLIP's layout",
            files=("*/vindr_detection_v1_folds.csv",),
        ),
        Component(
            "embed",
            f"{_HOME}.embed:Embed",
            "EMBED open data: BI-RADS descriptors, pathology, boxes",
            files=("*/tables/EMBED_OpenData_*.csv",),
        ),
        Component(
            "rsna-bcd",
            f"{_HOME}.rsna:RsnaBcd",
            "RSNA breast cancer detection 2023: cancer per breast",
            files=("*/train_images/*/*.dcm",),
        ),
        Component(
            "cbis-ddsm",
            f"{_HOME}.cbis:CbisDdsm",
            "CBIS-DDSM: digitised films, masses and calcifications",
            files=("*/mass_case_description_*.csv", "*/calc_case_description_*.csv"),
        ),
        Component(
            "inbreast",
            f"{_HOME}.inbreast:InBreast",
            "INbreast: 410 digital mammograms with contours, BI-RADS",
            files=("*/INbreast.csv",),
        ),
        Component(
            "csaw-cc",
            f"{_HOME}.csaw:CsawCc",
            "CSAW-CC: DICOM, screening exams, cancer by breast and exam",
            files=("*/CSAW-CC_breast_cancer_screening_data.csv", "*/anon_dataset_nonhidden_211125.csv"),
        ),
        Component(
            "mias", f"{_HOME}.mias:Mias", "mini-MIAS: 322 films, classes, circles", files=("*/mdb[0-9][0-9][0-9].pgm",)
        ),
        Component(
            "cmmd",
            f"{_HOME}.cmmd:Cmmd",
            "CMMD: DICOM, mass and calcifications, benign or malignant",
            files=("*/CMMD_clinicaldata_revision.*",),
        ),
        Component(
            "cdd-cesm",
            f"{_HOME}.cesm:CddCesm",
            "CDD-CESM: low-energy or subtracted images, BI-RADS, density",
            files=("*/Radiology?manual?annotations.*",),
        ),
        Component(
            "dmid",
            f"{_HOME}.dmid:Dmid",
            "DMID: original release or the 512×512 copy",
            files=("*/TIFF Images/IMG[0-9]*.tif", "*/TIFF Images/TIFF Images/IMG[0-9]*.tif"),
        ),
    ]
