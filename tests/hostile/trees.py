"""Documents of JSON with one or a few entries changed, wherever they are."""

from __future__ import annotations

import copy
from random import Random

__all__ = ["VALUES", "changed"]

VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    1 << 31,
    (1 << 63) - 1,
    1 << 63,
    -(1 << 63),
    10**40,
    0.5,
    1e308,
    "",
    "x",
    "__class__",
    "x=print(1)",
    "../../victim",
    "\x1b[31m\x00\n",
    "é" * 3,
    "a" * 100_000,
    "True",
    "1",
    [],
    {},
    [None],
    [[[]]],
    {"as_int": 1},
    {"as_none": True},
    {"as_operator": "torch.os.system"},
)
"""What an entry may be changed to."""


def changed(document: object, random: Random) -> object:
    """Return a copy of a document with one to four entries replaced, removed, added, doubled or exchanged."""
    made = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 2, 4))):
        place = _place(made, random)
        if isinstance(place, dict) and place:
            _change_object(place, random)
        elif isinstance(place, list) and place:
            _change_list(place, random)
    return made


def _place(document: object, random: Random) -> object:
    """Return an object or a list, of any depth with the same chance."""
    place, chosen = document, document
    steps = random.randrange(1, 14)
    for _ in range(steps):
        inner = list(place.values()) if isinstance(place, dict) else place if isinstance(place, list) else []
        inner = [one for one in inner if isinstance(one, dict | list) and one]
        if not inner:
            break
        place = chosen = random.choice(inner)
    return chosen


def _change_object(place: dict[str, object], random: Random) -> None:
    key = random.choice(list(place))
    match random.randrange(6):
        case 0:
            del place[key]
        case 1:
            place[str(random.choice(VALUES))[:50]] = place[key]
        case 2:
            place[str(random.choice(VALUES))[:50]] = place.pop(key)
        case 3:
            other = random.choice(list(place))
            place[key], place[other] = place[other], place[key]
        case _:
            place[key] = random.choice(VALUES)


def _change_list(place: list[object], random: Random) -> None:
    at = random.randrange(len(place))
    match random.randrange(5):
        case 0:
            del place[at]
        case 1:
            place.insert(at, place[random.randrange(len(place))])
        case 2:
            random.shuffle(place)
        case _:
            place[at] = random.choice(VALUES)
