"""Synthetic mammograms and small networks to dissect on them: for demonstration and testing, never for patients."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_datasets() -> list[Component]:
    """Offer the phantoms."""
    return [
        Component("phantom", "mcd_plugins.phantom.dataset:PhantomDataset", "Synthetic mammograms, everything known")
    ]


@hookimpl
def mcd_register_concept_sets() -> list[Component]:
    """Offer words for what a phantom can show."""
    return [Component("phantom", "mcd_plugins.phantom.concepts:PhantomConcepts", "What a phantom can show, no more")]


@hookimpl
def mcd_register_dissectors() -> list[Component]:
    """Offer the image–text model."""
    return [
        Component("phantom-clip", "mcd_plugins.phantom.dissector:PhantomClip", "Small image–text model of phantoms")
    ]


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the target, the same trained otherwise and further, and the image tower of the dissector as one."""
    return [
        Component("phantom-mammo", "mcd_plugins.phantom.loader:PhantomMammo", "Small classifier of phantom findings"),
        Component("phantom-general", "mcd_plugins.phantom.loader:PhantomGeneral", "The same, never shown a phantom"),
        Component("phantom-calc", "mcd_plugins.phantom.loader:PhantomCalc", "phantom-mammo fine-tuned, calcifications"),
        Component("phantom-clip", "mcd_plugins.phantom.loader:PhantomClipTower", "The image tower of phantom-clip"),
    ]


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer the demo, and phantoms as files."""
    return [
        Component("demo", "mcd_plugins.phantom.demo:demo", "A small study on phantom mammograms: seconds, no network."),
        Component("phantoms", "mcd_plugins.phantom.export:phantoms", "Write synthetic mammograms as files, to try on."),
    ]
