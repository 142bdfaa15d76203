"""The explorer at full size, in Chromium: size of the page, first paint, time from a keystroke to the filtered table.

python benchmarks/explorer.py [--neurons 7000 --images 2000 --labels 10 --rounds 5]

The run is made up: random labels, activations and thumbnails of a real one's size. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import PIL.Image
from playwright.sync_api import Browser, sync_playwright

from mcd.scoring.verdicts import SIGNIFICANT, VERDICTS
from mcd_plugins.explorer.packing import Json, packed
from mcd_plugins.explorer.page import page
from mcd_plugins.reporters.facts import Facts, LayerRow

BROAD = ("Findings and characterisation", "Anatomy and composition", "Acquisition and quality", "Everyday things")


def made_up(neurons: int, images: int, labels: int, top: int = 6, concepts: int = 400) -> tuple[Facts, dict[str, Json]]:
    rng = np.random.default_rng(0)
    widths = [neurons // 39] * 38
    widths.append(neurons - sum(widths))
    z = np.sort(rng.gamma(3, 1.2, (neurons, labels)), axis=1)[:, ::-1]
    level = [round(float(one), 3) for one in np.linspace(0, 1, 101)]
    verdict = rng.integers(0, len(VERDICTS), neurons)
    run: dict[str, Json] = {
        "letter": "",
        "apart": "",
        "target": "made up",
        "judged": True,
        "rate": 0.05,
        "n": images,
        "layers": [{"name": f"blocks.{at}", "neurons": width} for at, width in enumerate(widths)],
        "statuses": ["labelled", "dead"],
        "verdicts": list(VERDICTS),
        "status": packed(np.zeros(neurons, dtype=np.int64)),
        "verdict": packed(verdict),
        "labels": packed(np.full(neurons, labels)),
        "concept": packed(rng.integers(0, concepts, neurons * labels)),
        "score": packed(rng.normal(size=neurons * labels)),
        "z": packed(z.ravel()),
        "p": packed(np.exp(-z.ravel())),
        "q": packed(np.minimum(1, 2 * np.exp(-z.ravel()))),
        "p_any": packed(rng.random(neurons)),
        "critical": packed(np.full(neurons, 3.5)),
        "explanations": [],
        "nulls": [{"level": level, "z": sorted(float(one) for one in rng.gamma(4, 0.6, 101))} for _ in range(4)],
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
        "significant": list(SIGNIFICANT),
        "between": [],
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("neurons", 7000), ("images", 2000), ("labels", 10), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    facts, content = made_up(asked.neurons, asked.images, asked.labels)
    folder = Path(tempfile.mkdtemp())
    path = folder / "explorer.html"
    text = page([facts], content, [thumbnails(asked.images)])
    path.write_text(text, encoding="utf-8")
    print(
        f"{asked.neurons} neurons × {asked.labels} labels, {asked.images} thumbnails: {len(text.encode()) / 1e6:.1f} MB"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        print(f"Chromium {browser.version}; medians of {asked.rounds}")
        rounds = [measured(browser, path, view) for _ in range(asked.rounds) for view in ("overview", "neurons")]
        for name in dict.fromkeys(name for one in rounds for name in one):
            print(f"{name:<48} {median(one[name] for one in rounds if name in one):7.0f} ms")
        browser.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
