"""A data set of arrays. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

import mcd


@mcd.hookimpl
def mcd_register_datasets() -> list[mcd.Component]:
    """Offer the data set."""
    return [
        mcd.Component(
            "acme-arrays",
            "acme_arrays.dataset:ArraysDataset",
            "Images as one array, and a table of what is known of them",
        )
    ]
