"""The five published scorers of CLIP-Dissect, and the measures that NeuronEval and others score neurons by."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_scorers() -> list[Component]:
    """Offer the scorers; `docs/reference/scorers.md` compares them."""
    here = "mcd_plugins.scorers"
    return [
        Component("soft-wpmi", f"{here}.soft_wpmi:SoftWPMI", "Soft WPMI over the top images (the published default)"),
        Component("wpmi", f"{here}.wpmi:WPMI", "Weighted pointwise mutual information over the top images"),
        Component("rank-reorder", f"{here}.rank_reorder:RankReorder", "Does the concept order the top images alike?"),
        Component("cosine", f"{here}.cosine:Cosine", "Cosine of activations and similarity"),
        Component("cosine-cubed", f"{here}.cosine_cubed:CosineCubed", "Cosine of centred, cubed values"),
        Component("pearson", f"{here}.pearson:Pearson", "Correlation of activations and similarity"),
        Component("spearman", f"{here}.spearman:Spearman", "Correlation of ranks (a diagnostic)"),
        Component("auroc", f"{here}.auroc:AUROC", "Do activations tell a concept's images from the others?"),
        Component("auprc", f"{here}.auprc:AUPRC", "Average precision of activations for a concept's images"),
        Component("f1", f"{here}.overlap:F1", "F1 of the top images of neuron and concept"),
        Component("iou", f"{here}.overlap:IoU", "Intersection over union of the top images of neuron and concept"),
        Component("normalised-wpmi", f"{here}.normalised_wpmi:NormalisedWPMI", "WPMI by image, against the probe set"),
        Component("adaptive-cosine", f"{here}.adaptive_cosine:AdaptiveCosine",
                  "Cosine less that of all concepts, over as many images as respond strongly"),
    ]  # fmt: skip
