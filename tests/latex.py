"""LaTeX, compiled as a paper compiles it, in one column and in two."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.absence import absent

__all__ = ["amiss"]

_PAPER = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\clearpage
\twocolumn
%s
\end{document}
"""
_AMISS = re.compile(r"^!|overfull|undefined|not set up|missing character|too large", re.IGNORECASE)


def amiss(*texts: str) -> list[str]:
    """Return the lines of LaTeX's log that say what is wrong; the package booktabs alone is loaded.

    Without pdfLaTeX the test is skipped.
    """
    program = shutil.which("pdflatex")
    if program is None:
        absent("there is no pdflatex: apt-get install texlive-latex-base texlive-latex-recommended")
    each = "\n".join(f"{text}\n\\clearpage" for text in texts)
    unlabelled = re.sub(r"\\label\{.*?\}", "", each)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "paper.tex").write_text(_PAPER % (each, unlabelled), encoding="utf-8")
        command = [program, "-interaction=nonstopmode", "-no-shell-escape", "paper.tex"]
        subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300)
        log = (Path(folder) / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert "Output written on" in log, log[-2000:]
    return [line for line in log.splitlines() if _AMISS.search(line)]
