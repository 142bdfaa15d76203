"""``python -m mcd`` is ``mcd``."""

import signal
import sys

__all__ = ["run"]


def run() -> None:
    """Run the command line. What interrupts its import, or its end, says so in a word."""
    try:
        from mcd.cli import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # at the end: no traceback of threads that are waited for


if __name__ == "__main__":
    run()
