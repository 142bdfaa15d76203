"""``mcd finetune``: a model trained for a task, by a linear probe, its last blocks or all of its weights."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer ``mcd finetune``."""
    return [Component("finetune", "mcd_plugins.finetune.command:finetune", "Train a model for a task.")]


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader of what ``mcd finetune`` writes of any model."""
    home = "mcd_plugins.finetune.loader:FinetunedLoader"
    return [Component("finetuned", home, "A model that mcd finetune trained", files=("*.safetensors",))]
