"""``mcd dictionary stability``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.plugins import PATH, TargetFlags, echo_lines, option_group, print_table, say, with_target_flags

if TYPE_CHECKING:
    from mcd_plugins.dictionary.stability import Agreement

__all__ = ["stability"]


@click.command()
@click.argument("file", type=PATH, metavar="FILE")
@with_target_flags
@option_group(
    "Output",
    click.option("--output", "-o", type=PATH, metavar="FILE.safetensors", help="Where it goes.  [default: into FILE]"),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)
def stability(target: TargetFlags, file: Path, output: Path | None, as_json: bool) -> None:
    """Say how much of a dictionary is found again: with another seed, and in other patients.

    \b
    mcd dictionary stability sae.safetensors --model-plugin mammo-clip:FILE.tar --dataset dicom:DIR
    mcd dictionary stability sae.safetensors RUN

    FILE is one of mcd dictionary train, which recorded its settings; model and images must be the same. Three more are
    fitted: with another seed, and on two halves of its patients. Latents are matched one to one by the cosine of their
    decoder rows, beside random dictionaries of the same size: the mean weighted by how much of the layer each latent
    rebuilds, and of all alike. What is found is written into FILE, whose tensors stay.
    """
    import dataclasses
    import json

    from mcd_plugins.dictionary.record import check_output, read_dictionary, write_dictionary
    from mcd_plugins.dictionary.stability import other_seeds, with_stability
    from mcd_plugins.dictionary.stability import stability as run

    stored, path = read_dictionary(file), output or file
    check_output(path)
    images = target.as_recorded(stored.training.dataset).images()
    found = run(stored, images, skip=target.skip)
    write_dictionary(path, stored.fitted, stored.training, with_stability(stored.facts, found), stored.images)
    if as_json:
        echo_lines(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    _print(found)
    seed = stored.training.seed
    fitted = stored.facts.get("fitted on", f"seed {seed}")
    first, _, last = other_seeds(seed)
    say(
        f"It was fitted on {fitted}; the other fits have the seeds {first} to {last}. In random dictionaries "
        "the values of each channel are shuffled among the latents."
    )
    say(f"written: {path}")


def _print(found: tuple[Agreement, ...]) -> None:
    from mcd_plugins.dictionary.stability import HIGH
    from mcd_plugins.dictionary.training import decimal

    rows = [
        [one.what, decimal(one.weighted), decimal(one.mean), decimal(one.median), f"{one.high:.0%}", f"{one.latents:,}"]
        for one in found
    ]
    names = ["compared with", "weighted", "mean", "median", f"at least {HIGH:g}", "latents"]
    print_table(names, rows, right=set(names[1:]))
