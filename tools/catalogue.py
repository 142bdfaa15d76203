"""Print the page of known plugins, ``docs/reference/catalogue.md``, from ``core/mcd/cli/catalogue.yaml``."""

from __future__ import annotations

from mcd.cli.catalogue import Known, catalogue

_HEAD = """# Plugins

What is known to the project besides what is built in (`mcd plugins list`). Made by `python tools/catalogue.py` from
`core/mcd/cli/catalogue.yaml`, which `mcd plugins search WORD` reads too. Being listed is no review: installing a
package runs its code. [How to list yours](../how-to/write-a-plugin.md#let-others-find-it).

| plugin | offers | what it is | install | licence | maintained by |
| --- | --- | --- | --- | --- | --- |
"""
_OWN = "./examples/"


def _row(known: Known) -> str:
    """Return the line of a plugin; one of this repository is linked."""
    own = known.install.startswith(_OWN)
    name = f"[{known.name}](../../{known.install.removeprefix('./')}/README.md)" if own else known.name
    cells = (name, ", ".join(known.offers), known.summary, f"`mcd install {known.install}`", known.licence)
    return f"| {' | '.join((*cells, known.maintained_by))} |"


def main() -> None:
    """Print the page."""
    print(_HEAD + "\n".join(map(_row, catalogue())))


if __name__ == "__main__":
    main()
