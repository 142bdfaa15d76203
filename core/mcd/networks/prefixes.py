"""Where in a checkpoint a network lies: the start of the names after which its own names follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from torch import nn

from mcd.networks.nesting import is_averaged

__all__ = ["Renaming", "branches", "fits", "fitting_prefixes"]

Renaming = Callable[[Iterable[str]], Mapping[str, str]]
"""Takes the names in a file and returns for each the network's name."""


def fits(names: Iterable[str], module: nn.Module, rename: Renaming | None = None) -> bool:
    """Whether most names of the network are among those of a file."""
    wanted = module.state_dict().keys()
    return 2 * _hits(names, wanted, rename) > len(wanted)


def fitting_prefixes(names: Iterable[str], module: nn.Module, rename: Renaming | None = None) -> list[str]:
    """Return the prefixes after which most names of the network follow, that with the fewest other names first.

    Those of weights averaged over training come last.

    >>> fitting_prefixes(["model.backbone.weight", "model.backbone.bias", "model.head.w"], nn.Linear(1, 1))
    ['model.backbone']
    """
    wanted = module.state_dict().keys()
    after: dict[str, list[str]] = defaultdict(list)
    for name in names:
        parts = name.split(".")
        for count in range(1, len(parts)):
            after[".".join(parts[:count])].append(".".join(parts[count:]))
    hits = {prefix: _hits(rest, wanted, rename) for prefix, rest in after.items()}
    most = max(hits.values(), default=0)
    # Nearly every layer has a 'weight': a name or two that agree say nothing.
    found = [prefix for prefix in hits if hits[prefix] == most and 2 * most > len(wanted)]
    return sorted(found, key=lambda prefix: (is_averaged(prefix), len(after[prefix]), prefix))


def branches(names: Iterable[str]) -> list[str]:
    """Return the prefixes at which names part first.

    >>> branches(["model.backbone.weight", "model.head.w"])
    ['model.backbone', 'model.head']
    """
    rest, start = list(names), ""
    while True:
        tops = sorted({name.partition(".")[0] for name in rest if "." in name})
        if len(tops) != 1 or not all("." in name for name in rest):
            return [start + one for one in tops] or [start.rstrip(".")]
        start += tops[0] + "."
        rest = [name.partition(".")[2] for name in rest]


def _hits(names: Iterable[str], wanted: Iterable[str], rename: Renaming | None) -> int:
    known = set(wanted)
    return sum(name in known for name in (rename(names).values() if rename else names))
