"""Flags of commands that read a target and its images: a model and a data set by name, or those of a run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click
import pydantic

from mcd.cli.flags import images_flags
from mcd.cli.groups import option_group
from mcd.cli.hosted import with_plugin_files
from mcd.cli.paths import PATH
from mcd.errors import UsageError
from mcd.options import MOST_WORKERS, parse_pairs

if TYPE_CHECKING:
    from mcd.runs.target_images import TargetImages

__all__ = ["TargetFlags", "with_target_flags"]

R = TypeVar("R")


class TargetFlags(pydantic.BaseModel):
    """What the flags say of model and images; see `with_target_flags`."""

    model_config = pydantic.ConfigDict(frozen=True, protected_namespaces=())

    plugin_files: Sequence[Path]
    run: Path | None
    model: str | None
    model_arg: tuple[str, ...]
    dataset: str | None
    dataset_arg: tuple[str, ...]
    where: str | None
    limit: int | None
    per_patient: int | None
    recipe: str | None
    on_error: str
    device: str | None
    precision: Literal["fp32", "bf16", "fp16"] | None
    batch_size: int | None
    workers: int | None
    cache: Path | None
    trust: bool

    @property
    def skip(self) -> bool:
        """Whether images that cannot be used are left out."""
        return self.on_error == "skip"

    def images(self) -> TargetImages:
        """Return the target and its images, each image checked.

        Raises
        ------
        mcd.errors.MCDError
            When anything asked for does not exist or does not fit.
        """
        from mcd.runs.named_images import target_images
        from mcd.runs.run_images import run_images

        if self.run is not None:
            if taken := self._of_names():
                raise UsageError(
                    f"a run has a model and images of its own: {taken[0]} has no part here",
                    "leave it out, or leave the run out",
                )
            return run_images(
                self.run,
                trust=self.trust,
                device=self.device,
                precision=self.precision,
                batch_size=self.batch_size,
                workers=self.workers,
                plugin_files=self.plugin_files,
            )
        if self.model is None or self.dataset is None:
            raise UsageError(
                "which model, and which images?", "give --model-plugin and --dataset, or the folder of a run"
            )
        return target_images(
            {"plugin": self.model, "options": parse_pairs(self.model_arg, "--model-arg")},
            {"plugin": self.dataset, "options": parse_pairs(self.dataset_arg, "--dataset-arg")},
            where=self.where,
            limit=self.limit,
            per_patient=self.per_patient,
            recipe=self.recipe,
            cache=self.cache,
            device=self.device or "auto",
            precision=self.precision or "fp32",
            batch_size=self.batch_size or 16,
            workers=self.workers,
            on_error=self.on_error,
            plugin_files=self.plugin_files,
        )

    def as_recorded(self, chosen: Mapping[str, object]) -> TargetFlags:
        """Return the same with images chosen as a record says, where the flags do not say it and it is not hidden."""
        if self.run is not None:
            return self
        where, limit, per_patient = (chosen.get(name) for name in ("where", "limit", "per_patient"))
        return self.model_copy(
            update={
                "where": self.where or (where if isinstance(where, str) and not where.startswith("hidden:") else None),
                "limit": self.limit or limit,
                "per_patient": self.per_patient or per_patient,
            }
        )

    def _of_names(self) -> list[str]:
        """Return the flags that were given and mean nothing beside a run."""
        given = {
            "--model-plugin": self.model,
            "--model-arg": self.model_arg,
            "--dataset": self.dataset,
            "--dataset-arg": self.dataset_arg,
            "--where": self.where,
            "--limit": self.limit,
            "--per-patient": self.per_patient,
            "--recipe": self.recipe,
            "--cache": self.cache,
        }
        return [name for name, value in given.items() if value]

    def typed(self) -> list[str]:
        """Return the words that name model and images again."""
        if self.run is not None:
            return [str(self.run), *(["--trust"] if self.trust else [])]
        named = (("--model-plugin", self.model), ("--dataset", self.dataset))
        found = [word for flag, value in named if value is not None for word in (flag, value)]
        for flag, values in (("--model-arg", self.model_arg), ("--dataset-arg", self.dataset_arg)):
            found += [word for value in values for word in (flag, value)]
        chosen = (
            ("--where", self.where),
            ("--limit", self.limit),
            ("--per-patient", self.per_patient),
            ("--recipe", self.recipe),
        )
        return found + [word for flag, value in chosen if value is not None for word in (flag, str(value))]


_ARGUMENT = click.argument("run", type=PATH, required=False, metavar="[RUN]")
_IMAGES = option_group(
    "Model and images",
    *images_flags(
        model="The model, such as mammo-clip:FILE.tar.  [default: that of RUN]",
        dataset="The images, such as dicom:DIR.  [default: those of RUN]",
    ),
    click.option("--recipe", metavar="NAME", help="Make every image by this before the model sees it."),
    click.option(
        "--trust",
        is_flag=True,
        help="Run, read and fetch what the study of RUN names outside of its folder. Only for runs that you trust.",
    ),
)
_SPEED = option_group(
    "Speed",
    click.option("--device", metavar="TEXT", help="auto, cpu, cuda, cuda:1, mps.  [default: auto, or as RUN]"),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "fp16"]),
        help="Of the model; bf16 and fp16 use autocast.  [default: fp32, or as RUN]",
    ),
    click.option(
        "--batch-size", type=click.IntRange(1, 4096), metavar="N", help="Images at once.  [default: 16, or as RUN]"
    ),
    click.option("--workers", type=click.IntRange(0, MOST_WORKERS), metavar="N", help="Decoding processes."),
    click.option("--cache", type=PATH, metavar="DIR", help="Keep decoded images there."),
)


def with_target_flags(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the argument RUN and the flags of model and images, gathered in `TargetFlags`, which come first.

    Examples
    --------
    >>> @click.command()
    ... @with_target_flags
    ... def mine(target: TargetFlags) -> None:
    ...     print(len(target.images().samples))
    """

    @with_plugin_files
    @functools.wraps(command)
    def gathered(plugin_files: Sequence[Path], /, **flags: object) -> R:
        named = {name: flags.pop(name) for name in TargetFlags.model_fields if name in flags}
        return command(TargetFlags.model_validate({"plugin_files": plugin_files, **named}), **flags)

    return _ARGUMENT(_IMAGES(_SPEED(gathered)))
