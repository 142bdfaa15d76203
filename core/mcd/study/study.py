"""The run configuration: what is shown to which models, and how it is scored. Valid as YAML or keywords."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field
from pydantic_core import CoreSchema

from mcd.api.schema import Schema
from mcd.errors import amount
from mcd.files import expanded
from mcd.networks.pooling import Pooling
from mcd.networks.tuning import Tuning
from mcd.options import MOST_WORKERS, Seed
from mcd.study.calibration import Calibration
from mcd.study.groups import Group
from mcd.study.selection import MOST_IMAGES, Selection
from mcd.study.wording import Wording

__all__ = ["SCHEMA", "Choice", "DissectorChoice", "FittedImages", "ModelChoice", "Study", "UnitsChoice"]

SCHEMA = Schema("study", remedy="see the format that is read with: mcd run --schema")


def _or_text(schema: dict[str, object], name: str) -> dict[str, object]:
    """Return a JSON schema that also takes plain text instead of an object."""
    return {"description": name, "anyOf": [{"type": "string"}, dict(schema)]}


class Choice(pydantic.BaseModel):
    """A component by name, with its settings. The text ``NAME:VALUE`` sets the primary one."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    plugin: str = Field(description="name of the component, or plugin/name; NAME:VALUE sets its primary setting")
    options: dict[str, pydantic.JsonValue] = Field(
        default_factory=dict, description="its settings; see them with: mcd plugins show NAME"
    )

    _found: tuple[type, pydantic.BaseModel] | None = pydantic.PrivateAttr(default=None)

    @property
    def found(self) -> tuple[type, pydantic.BaseModel] | None:
        """The class of the component and its validated settings, which nothing validates again; None before that."""
        return self._found

    def as_found(self, cls: type, options: pydantic.BaseModel) -> Self:
        """Return the choice with its bare name and all settings, defaults included, of a component that was found."""
        explicit = {"plugin": self.plugin.partition(":")[0], "options": options.model_dump(mode="json")}
        made = self.model_copy(update=explicit)
        made._found = (cls, options)
        return made

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"plugin": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, object]:
        """Say to editors what the validator above takes."""
        found = handler.resolve_ref_schema(handler(schema))
        return _or_text(found, "a component: NAME, NAME:VALUE, or its name and settings")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | dict | Choice) else value


class _OneOrMore:
    """Marks a list that may be written as its one item."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, object]:
        """Say so to editors."""
        found = handler(schema)
        return {"anyOf": [found["items"], found]}


Choices = Annotated[tuple[Choice, ...], pydantic.BeforeValidator(_as_list), _OneOrMore()]
Patterns = Annotated[tuple[str, ...], pydantic.BeforeValidator(_as_list), _OneOrMore()]


def _pooling(text: str) -> str:
    return str(Pooling.parse(text))


_CALLED = re.compile(r"(?P<name>[^=:/]*)=(?P<plugin>.*)", re.DOTALL)


class UnitsChoice(Choice):
    """A unit source with its settings. The text ``[NAME=]KIND:FILE`` names what comes of it, and its file."""

    name: str = Field(default="", description="what follows the layer's name; by default the stem of the file")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _called(cls, value: object) -> object:
        found = _CALLED.fullmatch(value) if isinstance(value, str) else None
        return value if found is None else found.groupdict()


UnitsChoices = Annotated[tuple[UnitsChoice, ...], pydantic.BeforeValidator(_as_list), _OneOrMore()]


class ModelChoice(Choice):
    """A target: a model loader with its settings, the layers to dissect and how to pool them."""

    name: str = Field(default="", description="its name in tables; by default that of the loader")
    layers: Patterns = Field(
        default=(),
        description="patterns that pick layers: blocks.*, blocks[3][0], layer{1..4}; one output, stage2:1, or call, "
        "relu@2, of a layer; see: mcd layers",
    )
    units: UnitsChoices = Field(
        default=(),
        description="what each layer is seen through in place of its neurons, [NAME=]KIND:FILE such as "
        "directions:FILE; the layer is then called LAYER/NAME",
    )
    neurons: bool = Field(default=False, description="keep the neurons of layers too that are seen through units")
    pooling: Annotated[str, pydantic.AfterValidator(_pooling)] = Field(
        default="avg",
        description="how a map or a row of tokens becomes one number: avg, max, cls, tokens, gem[:EXPONENT], "
        "top-fraction[:FRACTION], masked-avg, masked-max",
    )


class DissectorChoice(Choice):
    """A dissector with its settings."""

    name: str = Field(default="", description="what tables call it; by default what it calls itself")


FittedImages = Literal["leave-out", "keep", "refuse"]
"""What becomes of images of patients that units were fitted on."""

DEFAULT_CONCEPTS = Choice(plugin="birads")
DEFAULT_SCORER = Choice(plugin="soft-wpmi")
FEWEST_UNTRAINED = 10

DissectorChoices = Annotated[tuple[DissectorChoice, ...], pydantic.BeforeValidator(_as_list), _OneOrMore()]
ModelChoices = Annotated[tuple[ModelChoice, ...], pydantic.BeforeValidator(_as_list), _OneOrMore()]


class Study(pydantic.BaseModel):
    """Everything that decides a run. Several models, or dissectors, make several dissections in one pass."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Annotated[Literal["mcd.study/1"], pydantic.BeforeValidator(SCHEMA.checked)] = Field(
        default="mcd.study/1", alias="schema", description="version of this format"
    )
    models: Annotated[ModelChoices, Group.MODEL] = Field(
        min_length=1, description="the model under study, such as timm:resnet50; a file may name several"
    )
    dissectors: Annotated[DissectorChoices, Group.DISSECTOR] = Field(
        min_length=1,
        description="the image–text model that gives concepts meaning, or annotations, the data set's own labels; each "
        "of several makes its own run folder",
    )
    dataset: Annotated[Choice, Group.IMAGES] = Field(description="the probe set, such as images:DIR or dicom:DIR")
    where: Annotated[str | None, Group.IMAGES] = Field(
        default=None, description='which of its images are used, such as: split == "test" and view == "MLO"'
    )
    limit: Annotated[int | None, Group.IMAGES] = Field(
        default=None, ge=1, le=MOST_IMAGES, description="use at most so many images"
    )
    per_patient: Annotated[int | None, Group.IMAGES] = Field(
        default=None, ge=1, le=MOST_IMAGES, description="use at most so many images of a patient"
    )
    seed: Annotated[Seed | None, Group.IMAGES] = Field(
        default=None, description="draw the images at random with this seed; by default the first ones are used"
    )
    recipe: Annotated[Choice | None, Group.IMAGES] = Field(
        default=None, description="preprocessing of every image before each model's own, such as dicom-standard"
    )
    concepts: Annotated[Choices, Group.CONCEPTS] = Field(
        default=(DEFAULT_CONCEPTS,),
        description="the concept set, by name or file; several are joined. A dissector of annotations for which none "
        "is named uses what is annotated",
    )
    prompts: Annotated[Wording, Group.CONCEPTS] = Field(
        default=Wording(), description="how concepts are written as prompts for the dissectors"
    )
    scorer: Annotated[Choice, Group.SCORING] = Field(
        default=DEFAULT_SCORER,
        description="how neurons and concepts are scored; a function (A, P) -> S of a file serves too. A dissector of "
        "annotations for which none is named uses auroc",
    )
    reporters: Annotated[Choices, Group.OUTPUT] = Field(
        default=(), description="what is written into report/ besides the labels, or printed"
    )
    calibration: Annotated[Calibration, Group.SCORING] = Field(
        default=Calibration(), description="how significance is computed"
    )
    controls: Annotated[bool, Group.SCORING] = Field(
        default=False,
        description="also label random weights, random units where there are units, shuffled rows, a random rotation, "
        "a random dissector and shuffled names: controls",
    )
    untrained: Annotated[int, Group.SCORING] = Field(
        default=0,
        ge=0,
        le=100,
        description="also run so many networks of the same architecture, 10 or more, with weights drawn anew, and test "
        "labels against those of their neurons: q_untrained",
    )
    maps: Annotated[int, Group.OUTPUT] = Field(
        default=0,
        ge=0,
        le=100,
        description="keep small maps of where each neuron responds in so many of its top images",
    )
    labels_per_neuron: Annotated[int, Group.SCORING] = Field(
        default=10, ge=1, le=100_000, description="how many concepts a neuron keeps, best first"
    )
    device: Annotated[str, Group.SPEED] = Field(
        default="auto", description="where the models run: auto, cpu, cuda, cuda:1, mps"
    )
    scoring_device: Annotated[str, Group.SPEED] = Field(
        default="cpu",
        description="where labels are scored and their nulls drawn: cpu, auto, cuda, cuda:1, mps; another than cpu may "
        "give other last bits",
    )
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Group.SPEED] = Field(
        default="fp32", description="numbers of the forward passes; bf16 and fp16 use autocast"
    )
    tf32: Annotated[bool, Group.SPEED] = Field(
        default=False,
        description="multiply float32 numbers with 10 bits of mantissa instead of 23: faster, with other digits; on "
        "NVIDIA GPUs only",
    )
    autotune: Annotated[bool, Group.SPEED] = Field(
        default=False,
        description="let cuDNN choose algorithms by their speed: the same run may give other last bits another time; "
        "on NVIDIA GPUs only",
    )
    batch_size: Annotated[int, Group.SPEED] = Field(default=16, ge=1, le=4096, description="images per forward pass")
    cache: Annotated[Path | None, Group.SPEED] = Field(
        default=None,
        description="the folder that keeps decoded images and what models read of them, so that a second study decodes "
        "nothing",
    )
    cache_size: Annotated[int, Group.SPEED] = Field(
        default=50, ge=1, le=1_000_000, description="the largest size of the cache, in GB"
    )
    store: Annotated[Path | None, Group.SPEED] = Field(
        default=None,
        description="the folder that keeps activations, embeddings and texts for other runs, or off; by default that "
        "of the variable MCD_STORE, or one of this user",
    )
    keep_identifiers: Annotated[bool, Group.OUTPUT] = Field(
        default=False, description="show the data set's own image ids, and whole paths in the manifest"
    )
    workers: Annotated[int | None, Group.SPEED] = Field(
        default=None,
        ge=0,
        le=MOST_WORKERS,
        description="decoding processes; by default about as many as there are cores, and as memory and shared memory "
        "allow",
    )
    fitted_images: Annotated[FittedImages, Group.IMAGES] = Field(
        default="leave-out",
        description="images of patients that units were fitted on are no test of these: leave them out, keep them and "
        "say so, or refuse the run",
    )
    verify: Annotated[bool, Group.IMAGES] = Field(
        default=False,
        description="read and hash every image file anew, even where it has not changed since an earlier run, and say "
        "how many differ",
    )
    on_error: Annotated[Literal["stop", "skip"], Group.IMAGES] = Field(
        default="stop", description="images that cannot be used: refuse the run, or leave them out"
    )

    @pydantic.field_validator("cache", "store")
    @classmethod
    def _home_for_tilde(cls, folder: Path | None) -> Path | None:
        return None if folder is None else expanded(folder)

    @pydantic.model_validator(mode="after")
    def _distinct_names(self) -> Study:
        for key, choices in (("models", self.models), ("dissectors", self.dissectors)):
            names = [choice.name for choice in choices if choice.name]
            if len(set(names)) < len(names):
                raise ValueError(f"{key}: two of them have the same name")
        return self

    @pydantic.field_validator("untrained")
    @classmethod
    def _enough_untrained(cls, untrained: int) -> int:
        if 0 < untrained < FEWEST_UNTRAINED:
            raise ValueError(
                f"what others would give cannot be said from {amount(untrained, 'network')}: at least "
                f"{FEWEST_UNTRAINED}, or 0 "
                "for none; a layer can have p ≤ 0.05 from 19 on"
            )
        return untrained

    @pydantic.model_validator(mode="after")
    def _judged(self) -> Study:
        for name in ("controls", "untrained"):
            if getattr(self, name) and not self.calibration.draws:
                raise ValueError(f"{name}: they need significance, and calibration.draws is 0")
        return self

    _given: frozenset[str] = pydantic.PrivateAttr(default=frozenset())

    def model_post_init(self, _context: object, /) -> None:
        """Note which settings were given: copies of a study have all of them."""
        self._given = frozenset(self.model_fields_set)

    def given(self, name: str) -> bool:
        """Whether a setting was given, and is not at its default by silence."""
        return name in self._given

    def only(self, model: int, dissector: int) -> Study:
        """Return the study of one of the models with one of the dissectors, without the others."""
        return self.model_copy(update={"models": (self.models[model],), "dissectors": (self.dissectors[dissector],)})

    @property
    def selection(self) -> Selection:
        """Which images of the data set are shown."""
        return Selection(where=self.where, limit=self.limit, per_patient=self.per_patient, seed=self.seed)

    @property
    def tuning(self) -> Tuning:
        """What a GPU may trade for speed."""
        return Tuning(self.tf32, self.autotune)

    def settings(self) -> dict[str, pydantic.JsonValue]:
        """Return the study as plain data, defaults included: what the manifest records."""
        found: dict[str, pydantic.JsonValue] = self.model_dump(mode="json", by_alias=True)
        return found
