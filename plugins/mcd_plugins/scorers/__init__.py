"""The five published scorers of CLIP-Dissect, the measures that NeuronEval and others score by, and explanations."""

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
        Component("auroc", f"{here}.auroc:AUROC", "Do activations separate a concept's images from the others?"),
        Component("auprc", f"{here}.auprc:AUPRC", "Average precision of activations for a concept's images"),
        Component("f1", f"{here}.overlap:F1", "F1 of the top images of neuron and concept"),
        Component("iou", f"{here}.overlap:IoU", "Intersection over union of the top images of neuron and concept"),
        Component("normalised-wpmi", f"{here}.normalised_wpmi:NormalisedWPMI", "WPMI by image, against the probe set"),
        Component("embedding", f"{here}.embedding:Embedding", "Cosine of the mean of the top images and a text"),
        Component("contrastive", f"{here}.contrastive:Contrastive", "Top images less look-alikes that do not respond"),
        Component("sparse", f"{here}.sparse:Sparse", "A weighted sum of few concepts, tried on other patients"),
        Component("logical", f"{here}.logical:Logical", "AND, OR and NOT of concepts, tried on other patients"),
        Component(
            "partial-correlation",
            f"{here}.partial_correlation:PartialCorrelation",
            "Correlation beyond view, side, scanner and implant",
        ),
        Component(
            "adaptive-cosine",
            f"{here}.adaptive_cosine:AdaptiveCosine",
            "Cosine less that of all concepts, over as many images as respond strongly",
        ),
    ]
