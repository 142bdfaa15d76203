"""What must hold of acme-contrasts."""

from __future__ import annotations

import torch
from acme_contrasts.units import Contrasts

from mcd.testing import assert_light, check_unit_source


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_contrasts")


def test_a_layer_can_be_seen_through_them() -> None:
    check_unit_source(Contrasts)


def test_what_all_neurons_share_does_not_count() -> None:
    units = Contrasts(Contrasts.Options(neurons=5)).load()
    values, shared = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)), torch.arange(7.0)[:, None]
    torch.testing.assert_close(units.module(values + shared), units.module(values))
