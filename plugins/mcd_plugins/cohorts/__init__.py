"""The public mammography data sets, as they were released."""

from mcd import Component, hookimpl

_HOME = "mcd_plugins.cohorts"


@hookimpl
def mcd_register_datasets() -> list[Component]:
    """Offer the data sets."""
    return [
        Component("vindr-mammo", f"{_HOME}.vindr:VinDrMammo", "VinDr-Mammo 1.0.0: DICOM, BI-RADS, density, boxes"),
        Component("vindr-png", f"{_HOME}.vindr:VinDrPng", "VinDr-Mammo as PNGs in Mammo-CLIP's layout"),
        Component("embed", f"{_HOME}.embed:Embed", "EMBED open data: BI-RADS descriptors, pathology, boxes"),
        Component("rsna-bcd", f"{_HOME}.rsna:RsnaBcd", "RSNA breast cancer detection 2023: cancer per breast"),
        Component("cbis-ddsm", f"{_HOME}.cbis:CbisDdsm", "CBIS-DDSM: digitised films, masses and calcifications"),
        Component("inbreast", f"{_HOME}.inbreast:InBreast", "INbreast: 410 digital mammograms with contours, BI-RADS"),
        Component("csaw-cc", f"{_HOME}.csaw:CsawCc", "CSAW-CC: DICOM, screening exams, cancer by breast and exam"),
        Component("mias", f"{_HOME}.mias:Mias", "mini-MIAS: 322 films, classes, circles"),
        Component("cmmd", f"{_HOME}.cmmd:Cmmd", "CMMD: DICOM, mass and calcifications, benign or malignant"),
        Component("cdd-cesm", f"{_HOME}.cesm:CddCesm", "CDD-CESM: low-energy or subtracted images, BI-RADS, density"),
        Component("dmid", f"{_HOME}.dmid:Dmid", "DMID: original release or the 512×512 copy"),
    ]
