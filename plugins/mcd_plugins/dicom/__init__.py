"""DICOM mammograms as probe set."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_datasets() -> list[Component]:
    """Offer the data set."""
    return [
        Component(
            "dicom",
            "mcd_plugins.dicom.dataset:DicomFolder",
            "A folder of DICOM files at full bit depth",
            requires=("pydicom>=3.0.2",),
            extra="dicom",
            files=("*/*.dcm", "*/*.dicom", "*/*.dic", "*/*.", "*/*.[0-9]*"),  # many archives leave suffixes out
        )
    ]
