"""The five published scorers."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_scorers() -> list[Component]:
    """Offer the scorers of CLIP-Dissect and Mammo-CLIP Dissect."""
    here = "mcd_plugins.scorers"
    return [
        Component("soft-wpmi", f"{here}.soft_wpmi:SoftWPMI", "Soft WPMI over the top images (the published default)"),
        Component("wpmi", f"{here}.wpmi:WPMI", "Weighted pointwise mutual information over the top images"),
        Component("rank-reorder", f"{here}.rank_reorder:RankReorder", "Does the concept order the top images alike?"),
        Component("cosine", f"{here}.cosine:Cosine", "Cosine of activations and similarity"),
        Component("cosine-cubed", f"{here}.cosine_cubed:CosineCubed", "Cosine of centred, cubed values"),
    ]
