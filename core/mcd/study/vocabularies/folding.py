"""What two spellings of a term have in common: small rules for English, no dictionary."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["folded", "negated"]

_ARTICLES = frozenset({"a", "an", "the"})
_IRREGULAR = {
    "diagnoses": "diagnosis",
    "metastases": "metastasis",
    "axes": "axis",
    "axillae": "axilla",
    "areolae": "areola",
    "foci": "focus",
    "radii": "radius",
    "phenomena": "phenomenon",
}
_SPELLINGS = (  # British and American forms of one word; applied to both, so only that they meet matters
    (re.compile(r"(?<=\w\w)our(?=s?$|ed$|ful$|ing$)"), "or"),
    (re.compile(r"[ao]e(?=\w)"), "e"),
    (re.compile(r"(?<=\w\w\w)is(?=e[ds]?$|ing$|ation$)"), "iz"),
    (re.compile(r"^(centimet|millimet|cent|fib)re$"), r"\1er"),
    (re.compile(r"ll(?=ed$|ing$)"), "l"),
    (re.compile(r"^grey"), "gray"),
    (re.compile(r"^artefact"), "artifact"),
)
_NEGATION = re.compile(r"\b(no|not|non|without|absent|absence of|free of|negative for|lack of|lacking|never)\b", re.I)


@lru_cache(maxsize=2**16)
def folded(term: str) -> str:
    """Return what a term has in common with its other spellings.

    Capitals, accents, blanks, hyphens and articles go; plurals become singular; American spelling is British.

    >>> folded("Fat-containing masses") == folded("fat containing mass")
    True
    >>> folded("skin fold artefact") == folded("skinfold artifacts")
    True
    """
    bare = unicodedata.normalize("NFKD", term).casefold()
    bare = "".join(mark for mark in bare if not unicodedata.combining(mark)).replace("'", "").replace("’", "")
    words = [word for word in re.split(r"[\W_]+", bare) if word and word not in _ARTICLES]
    return "".join(_singular(_american(word)) for word in words) or bare


def _american(word: str) -> str:
    if len(word) < 4:
        return word
    for pattern, other in _SPELLINGS:
        word = pattern.sub(other, word)
    return word


def _singular(word: str) -> str:
    """Return a noun without its plural ending; what only looks like a plural stays."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word.removesuffix("s")


def negated(term: str) -> str:
    """Return the word by which a term says that something is absent, or an empty text.

    >>> negated("no suspicious mass"), negated("nodule")
    ('no', '')
    """
    found = _NEGATION.search(term)
    return found[0] if found else ""
