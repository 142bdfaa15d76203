"""The check of dissectors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mcd.api.concepts import ConceptSet
from mcd.api.dissector import AnnotationDissector, Dissector
from mcd.api.image import Preprocessing
from mcd.networks.running import at_work
from mcd.networks.trial import dissector_format
from mcd.testing.contract import ContractError, called, created, kind_of, require, same_settings_same_fingerprint
from mcd.testing.material import samples

__all__ = ["check_dissector"]

_TEXTS = ("a mass with spiculated margins", "calcifications", "a dense breast")
_CPU = torch.device("cpu")


def check_dissector(dissector: Dissector | AnnotationDissector | type[Dissector | AnnotationDissector]) -> None:
    """Make sure that images and texts come into one space, each by itself and the same each time.

    Parameters
    ----------
    dissector
        A dissector, or its class where the default settings will do.

    Raises
    ------
    ContractError
        When ``load`` leaves out the name, the network or the preprocessing; when embeddings of images and texts differ
        in width, are not finite, or depend on chance or on what is embedded beside them; when the image tower is none
        of the network's modules or does not run once a batch. Of a dissector that reads annotations: when what it
        says is not 1, 0 or NaN for each image and concept.
    """
    kind = dissector if isinstance(dissector, type) else type(dissector)
    if issubclass(kind, AnnotationDissector):
        _check_annotations(created(dissector, AnnotationDissector))
        return
    made = created(dissector, Dissector)
    name = type(made).__qualname__
    again = type(made)(made.options)
    with called(f"{name}.load()"):
        made.load()
        again.load()
    _check_attributes(name, made)
    same_settings_same_fingerprint(made, again)
    with called(f"{name}.encode_images()"):
        memory_format = dissector_format(made, _CPU)
    with at_work(made.module, _CPU, memory_format), torch.inference_mode():
        images = _images(name, made, memory_format)
        texts = _texts(name, made)
    require(
        images.shape[1] == texts.shape[1],
        f"{name} embeds images in {images.shape[1]} dimensions and texts in {texts.shape[1]}",
        "both come into one space: return what follows the projections",
    )
    _check_long(name, made)


def _check_attributes(name: str, made: Dissector) -> None:
    for what, kind in (("name", str), ("module", nn.Module), ("preprocessing", Preprocessing)):
        value: object = getattr(made, what, None)
        require(
            isinstance(value, kind) and (kind is not str or str(value).strip()),
            f"{name}.load() leaves {what} {kind_of(value)}",
            f"set self.{what} in load(), {'a text' if kind is str else f'an instance of {kind.__name__}'}",
        )
    tower = made.image_tower
    require(
        tower is None or any(tower is one for one in made.module.modules()),
        f"image_tower of {name} is none of the modules of its module",
        "set it to the very module that encode_images calls, or leave it None",
    )


def _embedded(name: str, what: str, found: object, count: int) -> torch.Tensor:
    hint = f"return a tensor of {count} rows, one an input, of floating-point numbers"
    if not isinstance(found, torch.Tensor):
        raise ContractError(f"{name}.{what} returned {kind_of(found)}, not a tensor", hint)
    shape = "×".join(map(str, found.shape)) or "a single number"
    require(found.ndim == 2 and len(found) == count, f"{name}.{what} returned {shape} for {count} inputs", hint)
    require(found.is_floating_point(), f"{name}.{what} returned {found.dtype}", hint)
    require(bool(found.isfinite().all()), f"{name}.{what} returned NaN or infinity", hint)
    return found.float().clone()


def _images(name: str, made: Dissector, memory_format: torch.memory_format) -> torch.Tensor:
    recipe, generator = made.preprocessing, torch.Generator().manual_seed(0)
    size = (3, recipe.channels or 3, recipe.height or 224, recipe.width or 224)
    batch = recipe.finalize(torch.rand(size, generator=generator)).contiguous(memory_format=memory_format)
    runs: list[bool] = []
    tower = made.image_tower
    hook = tower.register_forward_hook(lambda *_: runs.append(True)) if tower is not None else None
    try:
        with called(f"{name}.encode_images()"):
            found = _embedded(name, "encode_images()", made.encode_images(batch.clone()), len(batch))
    finally:
        if hook is not None:
            hook.remove()
    require(
        tower is None or len(runs) == 1,
        f"encode_images() of {name} runs its image_tower {len(runs)} times a batch",
        "it must run once, on the batch that encode_images() is given, or image_tower must be None",
    )
    return found


def _texts(name: str, made: Dissector) -> torch.Tensor:
    with called(f"{name}.encode_texts()"):
        found = _embedded(name, "encode_texts()", made.encode_texts(list(_TEXTS)), len(_TEXTS))
        turned = _embedded(name, "encode_texts()", made.encode_texts(list(reversed(_TEXTS))), len(_TEXTS))
        alone = _embedded(name, "encode_texts()", made.encode_texts([_TEXTS[0]]), 1)
    apart = max(float((found - turned.flip(0)).abs().max()), float((found[:1] - alone).abs().max()))
    require(
        apart <= 1e-3 * float(found.abs().max()),
        f"encode_texts() of {name} gives a text another embedding beside other texts",
        "a text's embedding depends on the text alone: no dropout, no state, no padding that counts",
    )
    return found


def _check_long(name: str, made: Dissector) -> None:
    texts = [*_TEXTS, "spiculated " * 2000]
    with called(f"{name}.too_long()"):
        long: object = made.too_long(texts)
    require(
        isinstance(long, list) and all(one in texts for one in long),
        f"too_long() of {name} returned {kind_of(long)} that are not the texts given",
        "return a list of those of the texts that are cut off",
    )
    with called(f"{name}.unknown()"):
        unknown: object = made.unknown(_TEXTS)
    require(
        unknown is None or isinstance(unknown, Mapping),
        f"unknown() of {name} returned {kind_of(unknown)}",
        "return text → its unknown words, or None where the tokenizer cannot say",
    )


def _check_annotations(made: AnnotationDissector) -> None:
    name = type(made).__qualname__
    again = type(made)(made.options)
    with called(f"{name}.load()"):
        made.load()
        again.load()
    same_settings_same_fingerprint(made, again)
    label: object = getattr(made, "name", None)
    require(isinstance(label, str) and label, f"{name} has no name", "set name in the class or in load()")
    some = samples()
    with called(f"{name}.concepts()"):
        concepts: object = made.concepts(some)
    if not isinstance(concepts, ConceptSet):
        hint = "return a mcd.ConceptSet, such as mcd.ConceptSet.from_words([…])"
        raise ContractError(f"{name}.concepts() returned {kind_of(concepts)}", hint)
    wanted = concepts.concepts
    with called(f"{name}.annotate()"):
        found: object = made.annotate(some, wanted)
    shape = (len(some), len(wanted))
    if not (isinstance(found, torch.Tensor) and tuple(found.shape) == shape and found.dtype == torch.float32):
        raise ContractError(
            f"{name}.annotate() did not return a float32 tensor of {shape[0]}×{shape[1]}",
            "return (images, concepts) float32: 1 present, 0 absent, NaN not known",
        )
    known = found[~found.isnan()]
    require(
        bool(((known == 0) | (known == 1)).all()),
        f"{name}.annotate() says something else than 1, 0 and NaN",
        "1 is annotated as present, 0 as absent, NaN is not known, which is not absent",
    )
