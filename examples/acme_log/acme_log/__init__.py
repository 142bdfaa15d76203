"""An observer that writes down what happens in a run. Every mcd command imports this file, so it imports little."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from pathlib import Path

import mcd
from mcd.events import Event, StageAdvanced

VARIABLE = "ACME_LOG"
"""The variable that names the file; where it is not set, nothing is written."""


@mcd.hookimpl
def mcd_on_event(event: Event) -> None:
    """Append one line of JSON for each event, but for the many that only move a progress bar."""
    path = os.environ.get(VARIABLE)
    if not path or isinstance(event, StageAdvanced):
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    line = {"at": now, "event": type(event).__name__} | dataclasses.asdict(event)
    with Path(path).expanduser().open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
