"""The tests of the examples run here without installing them; each runs the same in its own folder once installed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(project.parent) for project in Path(__file__).parent.glob("*/pyproject.toml")]
