"""ACME's plugin for mcd. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

from mcd import Component, hookimpl


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the backbone."""
    return [
        Component("acme-net", "acme_backbone.net:AcmeLoader", "ACME's mammography backbone", requires=("torch>=2.9",))
    ]
