"""The explorer at full size, in Chromium.

Size of the page, first paint, time from a keystroke to the filtered table; medians. The run is made up: random labels,
activations and thumbnails of a real one's size.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import PIL.Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.report import Cell, Report, Table
from mcd.comparison.represented import ANSWERS
from mcd.plugins import CHANGES
from mcd.scoring.rungs import RUNGS
from mcd.scoring.verdicts import SIGNIFICANT, VERDICTS
from mcd_plugins.explorer.colours import palette_of
from mcd_plugins.explorer.packing import Json, packed
from mcd_plugins.explorer.page import page
from mcd_plugins.reporters.facts import Facts, LayerRow
from mcd_plugins.reporters.first_screen import FirstScreen

BROAD = ("Findings and characterisation", "Anatomy and composition", "Acquisition and quality", "Everyday things")


def made_up(neurons: int, images: int, labels: int, top: int = 6, concepts: int = 400) -> tuple[Facts, dict[str, Json]]:
    rng = np.random.default_rng(0)
    widths = [neurons // 39] * 38
    widths.append(neurons - sum(widths))
    z = np.sort(rng.gamma(3, 1.2, (neurons, labels)), axis=1)[:, ::-1]
    level: list[Json] = [round(float(one), 3) for one in np.linspace(0, 1, 101)]
    nulls: list[Json] = [{"level": level, "z": np.sort(rng.gamma(4, 0.6, 101)).tolist()} for _ in range(4)]
    verdict = rng.integers(0, len(VERDICTS), neurons)
    run: dict[str, Json] = {
        "represented": {"missing": "", "rows": []},
        "letter": "",
        "apart": "",
        "target": "made up",
        "judged": True,
        "rate": 0.05,
        "n": images,
        "layers": [{"name": f"blocks.{at}", "neurons": width, "units": []} for at, width in enumerate(widths)],
        "statuses": ["labelled", "dead"],
        "verdicts": list(VERDICTS),
        "rungs": ["", *RUNGS],
        "rung": packed(rng.integers(0, len(RUNGS) + 1, neurons)),
        "climbed": [],
        "learned": [],
        "evaluation": {"missing": "made up"},
        "maps": None,
        "status": packed(np.zeros(neurons, dtype=np.int64)),
        "verdict": packed(verdict),
        "labels": packed(np.full(neurons, labels)),
        "above": packed(np.full(neurons, labels // 2)),
        "rank": packed(np.tile(np.arange(1, labels + 1), neurons)),
        "concept": packed(rng.integers(0, concepts, neurons * labels)),
        "score": packed(rng.normal(size=neurons * labels)),
        "z": packed(z.ravel()),
        "p": packed(np.exp(-z.ravel())),
        "q": packed(np.minimum(1, 2 * np.exp(-z.ravel()))),
        "p_any": packed(rng.random(neurons)),
        "critical": packed(np.full(neurons, 3.5)),
        "explanations": [],
        "nulls": nulls,
        "null": packed(rng.integers(1, 5, neurons)),
        "responses": {
            "bins": 24,
            "counts": packed(rng.integers(0, images // 12, (neurons, 24))),
            "low": packed(np.zeros(neurons)),
            "high": packed(np.ones(neurons)),
            "top": top,
            "activation": packed(rng.random((neurons, top))),
        },
        "shown": {"probe": 0, "image": packed(rng.integers(0, images, (neurons, top)))},
    }
    coded: Json = {"names": ["", "CC", "MLO"], "of": packed(rng.integers(0, 3, images))}
    content: dict[str, Json] = {
        "runs": [run],
        "concepts": {
            "term": [
                f"{word} of kind {at}"
                for at in range(concepts // 4)
                for word in ("calcification", "spiculated margin", "mass", "density")
            ],
            "category": [f"Category {at % 40}" for at in range(concepts)],
            "broad_category": [BROAD[at % 4] for at in range(concepts)],
        },
        "probes": [
            {
                "ids": [f"{at:016x}" for at in range(images)],
                "note": "",
                "view": coded,
                "laterality": coded,
                "density": coded,
                "assessment": coded,
                "implant": coded,
                "findings": {"names": ["mass", "calcification"], "of": [[at % 2] for at in range(images)]},
            }
        ],
        "verdicts": {**VERDICTS},
        "rungs": {**RUNGS},
        "significant": list(SIGNIFICANT),
        "between": [],
        "answers": list(ANSWERS),
        "changes": list(CHANGES),
        "compared": None,
        "full": "off",
    }
    rows = [
        LayerRow(f"blocks.{at}", width, width // 2, 0.8, width // 5, width // 9, 0, dict.fromkeys(BROAD, width // 8))
        for at, width in enumerate(widths)
    ]
    facts = Facts(
        "",
        "made up",
        "made up",
        "soft-wpmi",
        True,
        0.05,
        images,
        images // 4,
        neurons,
        neurons // 2,
        [("Probe set", "made up"), ("Scorer", "soft-wpmi"), ("Null", "1,000 draws")],
        [],
        [],
        rows,
        [],
    )
    return facts, content


def thumbnails(count: int, size: int = 128) -> list[Json]:
    """Return pictures about as hard to compress as mammograms: a lit half with texture, the rest black."""
    import base64

    rng = np.random.default_rng(1)
    found: list[Json] = []
    for _ in range(count):
        rough = rng.normal(120, 40, (size // 4, size * 5 // 32))
        rough[:, size * 3 // 32 :] = 0
        picture = PIL.Image.fromarray(np.clip(rough, 0, 255).astype(np.uint8)).resize((size * 5 // 8, size))
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=70, method=4)
        found.append(base64.b64encode(out.getvalue()).decode())
    return found


FILTER = """
async (words) => {
  const input = document.getElementById("f-text");
  const times = [];
  for (const word of words) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const start = performance.now();
    input.value = word;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.getBoundingClientRect();  // layout too, not the script alone
    times.push(performance.now() - start);
  }
  return times;
}
"""
OPEN = """
async (address) => {
  const start = performance.now();
  location.hash = address;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}
"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
WORDS = ["s", "sp", "spic", "spiculated", "", "mass", "calcification of kind 7", "nothing like it"]


def measured(browser: Browser, path: Path, view: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    start = time.perf_counter()
    tab.goto(f"{path.as_uri()}#{view}")
    loaded = time.perf_counter() - start
    tab.wait_for_timeout(300)
    found = {f"{view}: first paint": tab.evaluate(PAINT), f"{view}: loaded": 1000 * loaded}
    if view == "neurons":
        found["filter, slowest of the keystrokes"] = max(tab.evaluate(FILTER, WORDS))
        found["a neuron with six thumbnails, the first time"] = tab.evaluate(OPEN, "#neuron/0/20/3")
        found["a neuron with six thumbnails, after that"] = tab.evaluate(OPEN, "#neuron/0/21/3")
        found["all concepts, the first time"] = tab.evaluate(OPEN, "#concepts")
    context.close()
    return found


@dataclass(frozen=True)
class Settings:
    """Neurons, images (thumbnails), labels a neuron, rounds."""

    neurons: int = 7000
    images: int = 2000
    labels: int = 10
    rounds: int = 5


TOY = Settings(neurons=100, images=12, labels=2, rounds=1)


def measure(settings: Settings) -> Report:
    """Return the medians of several rounds."""
    facts, content = made_up(settings.neurons, settings.images, settings.labels)
    text = page(
        [facts], palette_of([], [facts]), FirstScreen([], [], [], None, {}), content, [thumbnails(settings.images)]
    ).whole()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "explorer.html"
        path.write_text(text, encoding="utf-8")
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        rounds = [measured(browser, path, view) for _ in range(settings.rounds) for view in ("overview", "neurons")]
        shown = f"Chromium {browser.version}"
        browser.close()
    names = dict.fromkeys(name for one in rounds for name in one)
    rows: list[tuple[str, Cell]] = [("size of the page, MB", len(text.encode()) / 1e6)]
    rows += [(f"{name}, ms", median(one[name] for one in rounds if name in one)) for name in names]
    title = f"{settings.neurons:,} neurons × {settings.labels} labels, {settings.images:,} thumbnails; {shown}"
    return Report([Table(title, ("what", "median"), rows)])
