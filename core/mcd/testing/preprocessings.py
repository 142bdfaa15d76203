"""The check of preprocessing recipes."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pydantic
import torch

from mcd.api.image import Image, Preprocessing
from mcd.options import in_words
from mcd.testing.contract import ContractError, called, kind_of, require
from mcd.testing.material import images

__all__ = ["check_preprocessing"]

_STEPS = ("picture", "prepare", "prepare_mask", "finalize")


def check_preprocessing(recipe: Preprocessing | type[Preprocessing]) -> None:
    """Make sure that a recipe turns images of every sort into what a network takes, the same each time.

    Parameters
    ----------
    recipe
        A recipe, or its class where the default settings will do.

    Raises
    ------
    ContractError
        When it overrides none of the steps that the engine calls, a setting has no description, or it cannot be sent
        to worker processes; when ``picture`` returns something else than a `mcd.Image`, one that no model can use,
        loses the breast mask, or changes its own result; when ``prepare`` returns no float32 tensor of the declared
        size in 0…1, or ``finalize`` something else than a batch of the declared channels.
    """
    made = _created(recipe)
    name = type(made).__qualname__
    _check_steps(name, type(made))
    with called(f"{name}.fingerprint()"):
        same = made.fingerprint() == type(made).model_validate(made.model_dump()).fingerprint()
    require(same, f"two {name} with the same settings have different fingerprints", "leave fingerprint() as it is")
    try:
        pickle.loads(pickle.dumps(made))  # noqa: S301 -- what was pickled here
    except Exception as error:  # code of an author may raise anything
        raise ContractError(
            f"{name} cannot be sent to worker processes: {error}", "keep its settings, and nothing else, in fields"
        ) from error
    for image in images():
        _check_picture(name, made, image)
        _check_prepared(name, made, image)


def _created(recipe: Preprocessing | type[Preprocessing]) -> Preprocessing:
    kind = recipe if inspect.isclass(recipe) else type(recipe)
    name = kind.__qualname__
    require(issubclass(kind, Preprocessing), f"{name} is no mcd.Preprocessing", "subclass mcd.Preprocessing")
    bare = [field for field, info in kind.model_fields.items() if not info.description]
    require(not bare, f"setting {', '.join(bare)} of {name} has no description", 'write Field(…, description="…")')
    if not inspect.isclass(recipe):
        return recipe
    try:
        return kind()
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ContractError(
            f"{name} cannot be made with its default settings: {in_words(first)}",
            "give the check a recipe instead of its class",
        ) from None


def _check_steps(name: str, kind: type[Preprocessing]) -> None:
    """Refuse a class that does nothing the engine calls, but has methods of its own that it never calls."""
    overridden = [step for step in _STEPS if getattr(kind, step) is not getattr(Preprocessing, step)]
    own = [
        method
        for one in kind.__mro__[: kind.__mro__.index(Preprocessing)]
        for method, value in vars(one).items()
        if inspect.isfunction(value) and not method.startswith("_") and not hasattr(Preprocessing, method)
    ]
    require(
        overridden or not own,
        f"{name}.{(own or [''])[0]}() is never called: it overrides none of {', '.join(_STEPS)}",
        "do in picture() what can be written to an image file, in prepare() what gives a tensor, and in finalize() "
        "what runs on the device",
    )


def _check_picture(name: str, made: Preprocessing, image: Image) -> None:
    sort = f"{image.pixels.dtype.name} {'grey' if image.pixels.ndim == 2 else 'colour'} image"
    with called(f"{name}.picture() of a {sort}"):
        first: object = made.picture(_copied(image))
    if not isinstance(first, Image):
        raise ContractError(f"{name}.picture() returned {kind_of(first)}", "return a mcd.Image")
    with called(f"what {name}.picture() makes of a {sort}"):
        first.check()
    mask, size = first.mask, first.pixels.shape[:2]
    require(
        mask is not None and mask.shape == size,
        f"{name}.picture() of a {sort} of {size} gives a mask of {None if mask is None else mask.shape}",
        "cut and resize image.mask as you do the pixels, and pass it on: dataclasses.replace(image, pixels=…, mask=…)",
    )
    with called(f"{name}.picture() of its own result"):
        second = made.picture(_copied(first))
    same = second.maximum == first.maximum and np.array_equal(second.pixels, first.pixels)
    require(
        same,
        f"{name}.picture() changes its own result once more",
        "its own results stay as they are: mcd preprocess writes them to files that a study reads again",
    )


def _check_prepared(name: str, made: Preprocessing, image: Image) -> None:
    with called(f"{name}.prepare()"):
        first: object = made.prepare(_copied(image))
        second: object = made.prepare(_copied(image))
    hint = "return a float32 tensor (1 or 3, height, width) in 0…1; normalise in finalize()"
    if not (isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)):
        raise ContractError(f"{name}.prepare() returned {kind_of(first)}, not a tensor", hint)
    shape = "×".join(map(str, first.shape))
    require(first.dtype == torch.float32, f"{name}.prepare() returned {first.dtype}", hint)
    require(first.ndim == 3 and len(first) in (1, 3), f"{name}.prepare() returned a tensor of {shape}", hint)
    size = tuple(first.shape[1:])
    wanted = (made.height or size[0], made.width or size[1])
    require(size == wanted, f"{name}.prepare() returned {size}, and declares {wanted}", hint)
    low, high = float(first.min()), float(first.max())
    require(low >= 0 and high <= 1, f"{name}.prepare() returned values from {low:g} to {high:g}", hint)
    require(torch.equal(first, second), f"{name}.prepare() gives an image other values the second time", "no chance")
    with called(f"{name}.finalize()"):
        batch: object = made.finalize(torch.stack([first, first]))
    fits = isinstance(batch, torch.Tensor) and batch.ndim == 4 and batch.shape[1] == (made.channels or batch.shape[1])
    require(
        fits,
        f"{name}.finalize() returned {tuple(batch.shape) if isinstance(batch, torch.Tensor) else kind_of(batch)}",
        f"return a batch (B, {made.channels or 'channels'}, height, width)",
    )


def _copied(image: Image) -> Image:
    mask = None if image.mask is None else image.mask.copy()
    return Image(image.pixels.copy(), image.maximum, image.negative, mask)
