"""Text for LaTeX: nothing that a file says is taken for a command, and what it says is set as it is."""

from __future__ import annotations

__all__ = ["latex_text", "one_line"]

_ESCAPES = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "$": "\\$",
    "&": "\\&",
    "#": "\\#",
    "_": "\\_",
    "%": "\\%",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\texttt{\\char34}",  # \textquotedbl is no character of OT1, the default encoding
    "`": "\\textasciigrave{}",
    "'": "\\textquotesingle{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",  # after the end of a row these would be its options
    "–": "--",
    "—": "---",
    "…": "\\ldots{}",
    "·": "\\textperiodcentered{}",
    "×": "$\\times$",
    "≤": "$\\leq$",
    "≥": "$\\geq$",
    "≠": "$\\neq$",
    "≈": "$\\approx$",
    "−": "$-$",
    "±": "$\\pm$",
    "→": "$\\rightarrow$",
    "←": "$\\leftarrow$",
    "∞": "$\\infty$",
    "∅": "$\\emptyset$",
    "√": "$\\surd$",
    "′": "$\\prime$",
    "µ": "$\\mu$",
    "‑": "-",
}
_GREEK = {
    "α": "alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu ν nu ξ xi ο o π pi",
    "ρ": "rho ς varsigma σ sigma τ tau υ upsilon φ phi χ chi ψ psi ω omega",
    "Α": "A Β B Γ Gamma Δ Delta Ε E Ζ Z Η H Θ Theta Ι I Κ K Λ Lambda Μ M Ν N Ξ Xi Ο O Π Pi Ρ P",
    "Σ": "Sigma Τ T Υ Upsilon Φ Phi Χ X Ψ Psi Ω Omega",
}
_NAMED = [name for first, names in _GREEK.items() for name in (first, *names.split())]
_ESCAPES |= {
    letter: name if len(name) == 1 else f"$\\{name}$"  # Alpha looks as A does, and has no command
    for letter, name in zip(_NAMED[::2], _NAMED[1::2], strict=True)
}
_ESCAPES |= {one: f"{{\\fontencoding{{T1}}\\selectfont {one}}}" for one in "«»‹›„‚ĄąĘęĮįŲųĐđÐðÞþŊŋ"}
"""Characters that LaTeX reads as commands, or does not have in its default encoding."""

_PAIRS = ("-", ",", "!", "?")
"""Characters that change when a second, or another one, follows: they are kept apart."""


def one_line(text: str) -> str:
    """Return a text without line breaks and characters that do not print."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def latex_text(text: str) -> str:
    """Return LaTeX that sets a text as it is, on one line: no command, no comment, no ligature that changes it.

    pdfLaTeX needs no package for it where the text is in Latin or Greek script; others need LuaLaTeX or XeLaTeX.
    """
    plain = one_line(text)
    apart = [
        one + "{}" if one in _PAIRS and after in ("-", ",", "`") else _ESCAPES.get(one, one)
        for one, after in zip(plain, [*plain[1:], ""], strict=False)
    ]
    return "".join(apart)
