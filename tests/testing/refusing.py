"""What a check of the kit says of a component that it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mcd.testing import ContractError


def refused(check: Callable[[object], None], component: object) -> str:
    with pytest.raises(ContractError) as caught:
        check(component)
    assert caught.value.hint
    return str(caught.value)
