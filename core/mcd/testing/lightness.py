"""Whether a module imports without what is heavy."""

from __future__ import annotations

import subprocess
import sys

from mcd.lazy import HEAVY

__all__ = ["HEAVY", "assert_light"]

_PROBE = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ImportError(f"{{name}} is too heavy to import here")

sys.path[:] = {path!r}
sys.meta_path.insert(0, Refuse())
importlib.import_module({module!r})
"""


def assert_light(module: str) -> None:
    """Assert that a module imports without torch and its like (`HEAVY`), in a process of its own.

    Every ``mcd`` command imports every plugin, so a plugin's own module must only declare; what it
    declares is imported when a component is used.

    Raises
    ------
    AssertionError
        With the traceback that leads to the heavy import.

    Examples
    --------
    >>> assert_light("mcd.hookspecs")
    """
    code = _PROBE.format(heavy=HEAVY, path=sys.path, module=module)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- this interpreter
    if done.returncode:
        raise AssertionError(f"{module} is not light:\n{done.stderr.strip()}")
