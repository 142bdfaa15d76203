"""``python -m mcd`` is ``mcd``."""

from mcd.cli import main

main()
