"""The release that ``inbreast`` reads, in miniature."""

from __future__ import annotations

import plistlib
from pathlib import Path

from tests.plugins.cohorts.conftest import write_dicom

HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"

ROWS = (
    "removed;removed;R;CC;201001;22678622;4;1",
    "removed;removed;L;MLO;201001;22678694;4;4a",
    "removed;removed;R;MLO;200901;53582540;            ;2",
    "removed;removed;R;FB;200901;50994300;3;5",
    "removed;removed;L;CC;201003;50994381;3;1",
)

ANNE, BETH = "6c613a14b80a8591", "d713ef5849f98b6c"

FILES = {
    "22678622": f"22678622_{ANNE}_MG_R_CC_ANON.dcm",
    "22678694": f"22678694_{ANNE}_MG_L_ML_ANON.dcm",
    "53582540": f"53582540_{BETH}_MG_R_ML_ANON.dcm",
    "50994300": f"50994300_{BETH}_MG_R_FB_ANON.dcm",
    "50994381": f"50994381_{ANNE}_MG_L_CC_ANON.dcm",
}


def region(name: str, *points: tuple[float, float]) -> dict[str, object]:
    return {"Name": name, "NumberOfPoints": len(points), "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points]}


def write_contours(root: Path, image: str, *regions: dict[str, object]) -> Path:
    path = root / "AllXML" / f"{image}.xml"
    path.parent.mkdir(exist_ok=True)
    content = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(regions), "ROIs": list(regions)}]}
    path.write_bytes(plistlib.dumps(content))
    return path


def write_csv(root: Path, *rows: str, header: str = HEADER) -> Path:
    path = root / "INbreast.csv"
    path.write_bytes("".join(f"{line}\r\n" for line in (header, *rows, ";;;;;;;", "Notes: no biopsy;;;;;;;")).encode())
    return path


def released(root: Path) -> Path:
    """Write it: one image without contours, a contour of a single point, names with spelling errors."""
    for seed, (name, file) in enumerate(FILES.items()):
        write_dicom(root / "AllDICOMs" / file, seed=seed, PatientID="removed" + name)
    write_csv(root, *ROWS)
    mass = region("Mass", (10.5, 20.25), (15.0, 30.9), (12, 18))
    spikes = region("Espiculated Region", (-2.0, 16.0), (19.0, 33.0))
    write_contours(root, "22678694", mass, spikes, region("Calcification", (7.6, 8.2)))
    write_contours(root, "53582540", region("Assymetry", (1, 1), (4, 5)), region("Cluster", (2, 2), (3, 3)))
    write_contours(root, "50994300", region("Distortion", (1, 1), (4, 5)), region("Point 3", (9, 9)), region("Mass"))
    (root / "AllDICOMs" / ".DS_Store").write_bytes(b"x")
    return root
