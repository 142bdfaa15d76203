"""What must hold of acme-backbone."""

from __future__ import annotations

from acme_backbone.net import AcmeLoader

from mcd.testing import assert_light, check_model_loader


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_backbone")


def test_the_target_can_be_dissected_and_is_the_same_each_time() -> None:
    check_model_loader(AcmeLoader)
    check_model_loader(AcmeLoader(AcmeLoader.Options(width=4, seed=1)))
