"""What the free text of CDD-CESM names: concepts of the set ``birads``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mcd_plugins.cohorts.vocabulary import FINDINGS

__all__ = ["DESCRIPTORS", "named", "words_of"]

_NODE = r"((lymph )?nodes?|lns?)"
_SYNONYMS: Mapping[str, str] = {
    r"mass(es)?": "mass",
    r"((macro|micro) ?)?calcifications?": "calcifications",
    r"calcific (foci|focus|specks?|deposits?)": "calcifications",
    r"calcified": "calcifications",
    r"benign( looking)? ((macro|micro) ?)?calcifications?": "typically benign calcifications",
    r"suspicious( looking)? ((macro|micro) ?)?calcifications?": "suspicious calcifications",
    r"distor[ts]ions?": "architectural distortion",
    r"distorted (breast |glandular )?(architecture|parenchyma|tissue)": "architectural distortion",
    r"ass?ymm?etr(y|ies)": "asymmetry",
    r"ass?ymm?etric(al)? (breast |dense |glandular )?(densit(y|ies)|areas?|tissue|parenchyma)": "asymmetry",
    rf"(intra ?mammary {_NODE}|imlns?)": "intramammary lymph node",
    rf"(pathological|suspicious|abnormal|metastatic|malignant) (axillary )?{_NODE}": "axillary lymphadenopathy",
    r"axillary (lymph)?adenopath(y|ies)": "axillary lymphadenopathy",
    r"dilated duct": "solitary dilated duct",
    r"(thick(ened)? skin|skin is thick(ened)?)": "skin thickening",
    r"(retracted skin|skin is retracted)": "skin retraction",
    r"(retracted nipple|nipple is retracted)": "nipple retraction",
    r"hematomas?": "haematoma",
}
"""How a concept is spelt besides its own name."""


def _pattern(concept: str) -> re.Pattern[str]:
    spellings = [
        rf"{concept.replace('-', ' ').removesuffix('s')}s?",
        *(one for one, said in _SYNONYMS.items() if said == concept),
    ]
    return re.compile(rf"\b({'|'.join(spellings)})\b")


_PATTERNS = {one: _pattern(one) for one in sorted(FINDINGS - {"breast cancer"})}  # which pathology says
_KINDS: Mapping[str, str] = {
    "asymmetry": "asymmetry",
    "calcifications": "calcifications",
    "milk of calcium": "calcifications",
}
"""Ending of a concept's name → the concept that it is a kind of."""
_DENIED = re.compile(
    r"\b(no(?! longer)|without|absence of|free (of|from)|negative for|lack(s|ing)?( of)?|den(y|ies|ied)|neither"
    r"|possib(le|ly)|rule out|rather than)\b.*|\?.*"
)
"""What comes after these words in a clause is not said to be there."""
_OPEN = re.compile(
    r"\b(not|no longer|absent|gone|resol(ved|ving|ution)|regress\w*|disappear\w*|unlikely|suspected|exclu(de|ded|sion)"
    r"|versus|vs|or)\b"
)
"""A clause with one of these does not say that something is there."""
_UNLIKE = re.compile(
    r"\bnon ?(mass|calcified|calcifications?)\b|\b(mass|calcifications?|distortion|asymmetry) (like|mimic\w*)\b"
)
"""Enhancement that is no mass, and what only looks like a finding."""

DESCRIPTORS: Mapping[str, Mapping[str, str]] = {
    "Mass shape": {
        "round": "round shape",
        "oval": "oval shape",
        "lobulated": "oval shape",
        "irregular": "irregular shape",
    },
    "Mass margin": {
        "circumscribed": "circumscribed margin",
        "obscured": "obscured margin",
        "microlobulated": "microlobulated margin",
        "indistinct": "indistinct margin",
        "ill defined": "indistinct margin",
        "spiculated": "spiculated margin",
    },
    "Mass density/enhancement pattern": {
        "high": "high-density mass",
        "equal": "equal-density mass",
        "low": "low-density mass",
        "fat containing": "fat-containing mass",
    },
}
"""Column of the sheets on masses → its words → concepts. Hyphens and dollar signs part words."""


def named(phrase: str) -> frozenset[str]:
    """Return the concepts that a phrase names as present; a kind of calcifications is calcifications as well."""
    found: set[str] = set()
    for clause in re.split(r"[,;.\n]", phrase.lower()):
        said = " ".join(re.sub(r"[-_/:()]+", " ", clause).split())
        text = _DENIED.sub("", said)
        if not (_OPEN.search(text) or said.endswith("?")):
            text = _UNLIKE.sub("", text)
            found |= {concept for concept, pattern in _PATTERNS.items() if pattern.search(text)}
    return frozenset(found | {kind for one in found for ending, kind in _KINDS.items() if one.endswith(ending)})


def words_of(text: str, known: Iterable[str]) -> list[str]:
    """Return the words of a descriptor, which hyphens, slashes, commas and "and" join; ``not circumscribed`` is one."""
    text = re.sub(r"\b(not|non|no)[- ]+", r"\1 ", text.lower())
    for word in known:
        text = text.replace(word.replace(" ", "-"), word)
    return [one.strip() for one in re.split(r"[-/,&+]|\band\b", text) if one.strip()]
