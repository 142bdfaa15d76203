"""A of a layer: in memory, or read a group of neurons at a time, so that no layer is too large."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Activations", "Held", "Read", "as_activations", "fits", "split"]

FLOATS = 2**26
"""Activations that are held at once: 256 MiB."""

FoundT = TypeVar("FoundT")
Numbers = Sequence[int] | NDArray[np.int64] | torch.Tensor
"""Row numbers, or numbers of neurons."""


def fits(images: int, neurons: int) -> bool:
    """Say whether activations of so many images and neurons are held as a whole."""
    return images * neurons <= FLOATS


def split(images: int, neurons: int, copies: int = 1) -> list[slice]:
    """Return slices of neurons whose activations are few enough: one where they are held as a whole.

    The numbers of images and neurons alone decide them: equal settings give equal bytes.

    Parameters
    ----------
    copies
        How many copies are made of activations at once.
    """
    width = neurons if fits(images, neurons) else max(1, FLOATS // copies // images)
    return [slice(at, min(at + width, neurons)) for at in range(0, max(1, neurons), max(1, width))]


class Activations(abc.ABC):
    """A of a layer, ``(images, neurons)`` float32.

    Attributes
    ----------
    images, neurons
        How many there are.
    """

    images: int
    neurons: int

    @abc.abstractmethod
    def columns(self, neurons: Numbers) -> torch.Tensor:
        """Return A of neurons by number, ``(images, len(neurons))``: the caller's own."""

    @abc.abstractmethod
    def among(self, neurons: Numbers) -> tuple[torch.Tensor, torch.Tensor]:
        """Return columns of A that neurons, by number, are among, ``(images, some)``, and which of them each is."""

    @abc.abstractmethod
    def of(self, neurons: Numbers) -> Activations:
        """Return A of neurons by number."""

    @abc.abstractmethod
    def at(self, rows: Numbers) -> Activations:
        """Return A of images by row number."""

    @abc.abstractmethod
    def made(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Activations:
        """Return what a function makes of A, given any of its columns, the others having no part in it."""

    @abc.abstractmethod
    def each(self, found: Callable[[torch.Tensor], FoundT]) -> list[FoundT]:
        """Return what a function finds in neighbouring neurons, given ``(images, some)``, not to be written to.

        In all of them at once where A is held; else only one group of them is held at a time.
        """

    @abc.abstractmethod
    def held(self) -> Held:
        """Return all of it in memory."""


class Held(Activations):
    """Activations in memory.

    Parameters
    ----------
    values
        ``(images, neurons)`` float32.
    """

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values
        self.images, self.neurons = values.shape

    def columns(self, neurons: Numbers) -> torch.Tensor:
        """Return some columns."""
        return self.values[:, torch.as_tensor(neurons, dtype=torch.int64)]

    def among(self, neurons: Numbers) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all columns."""
        return self.values, torch.as_tensor(neurons, dtype=torch.int64)

    def of(self, neurons: Numbers) -> Held:
        """Return A of some neurons; itself where they are all, in order."""
        which = torch.as_tensor(neurons, dtype=torch.int64)
        return self if torch.equal(which, torch.arange(self.neurons)) else Held(self.values[:, which])

    def at(self, rows: Numbers) -> Held:
        """Return A of some images."""
        return Held(self.values[torch.as_tensor(rows, dtype=torch.int64)])

    def made(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Held:
        """Return what a function makes of it."""
        return Held(change(self.values))

    def each(self, found: Callable[[torch.Tensor], FoundT]) -> list[FoundT]:
        """Return what a function finds in it."""
        return [found(self.values)]

    def held(self) -> Held:
        """Return itself."""
        return self


class Read(Activations):
    """Activations that are read where they are needed.

    Parameters
    ----------
    images, neurons
        How many there are.
    read
        Returns A of some images and neurons, by number: None for all.
    """

    def __init__(
        self, images: int, neurons: int, read: Callable[[torch.Tensor | None, torch.Tensor], torch.Tensor]
    ) -> None:
        self.images, self.neurons, self._read = images, neurons, read

    def columns(self, neurons: Numbers) -> torch.Tensor:
        """Return some columns, read at once."""
        return self._read(None, torch.as_tensor(neurons, dtype=torch.int64))

    def among(self, neurons: Numbers) -> tuple[torch.Tensor, torch.Tensor]:
        """Return these columns, each once."""
        which, place = torch.unique(torch.as_tensor(neurons, dtype=torch.int64), return_inverse=True)
        return self.columns(which), place

    def of(self, neurons: Numbers) -> Read:
        """Return A of some neurons; nothing is read yet."""
        which = torch.as_tensor(neurons, dtype=torch.int64)
        return Read(self.images, len(which), lambda rows, columns: self._read(rows, which[columns]))

    def at(self, rows: Numbers) -> Read:
        """Return A of some images; nothing is read yet."""
        which = torch.as_tensor(rows, dtype=torch.int64)
        return Read(
            len(which),
            self.neurons,
            lambda rows, columns: self._read(which if rows is None else which[rows], columns),
        )

    def made(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Read:
        """Return what a function will make of what is read: it needs all images."""

        def read(rows: torch.Tensor | None, columns: torch.Tensor) -> torch.Tensor:
            found = change(self._read(None, columns))
            return found if rows is None else found[rows]

        return Read(self.images, self.neurons, read)

    def each(self, found: Callable[[torch.Tensor], FoundT]) -> list[FoundT]:
        """Return what a function finds in each group of as many neurons as `FLOATS` holds."""
        every = torch.arange(self.neurons)
        return [found(self.columns(every[some])) for some in split(self.images, self.neurons)]

    def held(self) -> Held:
        """Read all of it."""
        return Held(self.columns(torch.arange(self.neurons)))


def as_activations(values: torch.Tensor | Activations) -> Activations:
    """Return activations, given them or a tensor ``(images, neurons)``; of a large one, copies are made by groups."""
    if isinstance(values, Activations):
        return values
    images, neurons = values.shape
    return Held(values) if fits(images, neurons) else Read(images, neurons, partial(_some, values))


def _some(values: torch.Tensor, rows: torch.Tensor | None, columns: torch.Tensor) -> torch.Tensor:
    return values[:, columns] if rows is None else values[rows[:, None], columns]
