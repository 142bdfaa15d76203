"""Flags that commands share, and how they become a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from mcd.cli import State, go_offline
from mcd.errors import ConfigError

if TYPE_CHECKING:
    from mcd.study.selection import Selection

__all__ = [
    "choices",
    "chosen_calibration",
    "chosen_selection",
    "chosen_wording",
    "concept_choices",
    "data_flags",
    "model_flags",
    "plugin_file_flag",
    "pooling_flag",
    "probe_flags",
    "scoring_flags",
    "selection_flags",
    "study_settings",
]

_DEFAULTS = {"scorer": "soft-wpmi"}
"""What a --…-arg without its component belongs to; a test holds it to the study's own default."""

Command = TypeVar("Command", bound=Callable[..., object])


def _apply(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def _add_files(ctx: click.Context, _parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    ctx.ensure_object(State).plugin_files += files


def _set_debug(ctx: click.Context, _parameter: click.Parameter, debug: bool) -> None:
    ctx.ensure_object(State).debug |= debug


def _set_offline(_ctx: click.Context, _parameter: click.Parameter, offline: bool) -> None:
    if offline:
        go_offline()


def plugin_file_flag(command: Command) -> Command:
    """Add --plugin-file, --offline and --debug after the command's name too, where people write them."""
    return _apply(
        click.option(
            "--plugin-file",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE.py",
            is_eager=True,
            expose_value=False,
            callback=_add_files,
            help="Load a local plugin file. Repeatable.",
        ),
        click.option(
            "--offline",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_offline,
            help="Fetch nothing: what would be downloaded is an error.",
        ),
        click.option(
            "--debug",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_debug,
            help="Show the traceback of an error.",
        ),
    )(command)


def model_flags(command: Command) -> Command:
    """Add the flags that choose a target and its layers."""
    return _apply(
        click.option(
            "--model-plugin",
            "--model",
            "model",
            metavar="NAME[:VALUE]",
            help="The target, such as timm:resnet50. See: mcd plugins list",
        ),
        click.option(
            "--model-arg",
            "model_arg",
            multiple=True,
            metavar="KEY=VALUE",
            help="A setting of the target's loader. Repeatable. See: mcd plugins show NAME",
        ),
        click.option(
            "--layers",
            multiple=True,
            metavar="PATTERN",
            help="Layers: 'blocks.*', 'blocks[3][0]', 'layer{1..4}'. Repeatable.",
        ),
    )(command)


def pooling_flag(command: Command) -> Command:
    """Add the flag that says how a layer's output becomes one number a neuron."""
    return click.option(
        "--pooling",
        metavar="NAME[:NUMBER]",
        default="avg",
        show_default=True,
        help="How a map or a row of tokens becomes one number: avg, max, cls, tokens, gem:EXPONENT, "
        "top-fraction:FRACTION, masked-avg, masked-max.",
    )(command)


def data_flags(command: Command) -> Command:
    """Add the flags that choose pooling, probe set and dissectors, and how the sweep runs."""
    return _apply(
        pooling_flag,
        click.option(
            "--dissector",
            multiple=True,
            metavar="NAME[:VALUE]",
            help="The image–text model. Repeatable: each makes its own run folder in one pass.",
        ),
        click.option("--dissector-arg", multiple=True, metavar="[NAME.]KEY=VALUE", help="A setting of it. Repeatable."),
        _sweep_flags,
        click.option(
            "--controls",
            is_flag=True,
            help="Also label random weights, shuffled rows, a random dissector and shuffled names.",
        ),
        click.option(
            "--maps",
            type=click.IntRange(0, 100),
            default=0,
            show_default=True,
            metavar="N",
            help="Keep small maps of where each neuron responds in its N top images.",
        ),
    )(command)


def probe_flags(command: Command) -> Command:
    """Add the flags that choose probe set and one dissector, and how images go through it."""
    return _apply(
        click.option("--dissector", metavar="NAME[:VALUE]", help="The image–text model."),
        click.option("--dissector-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable."),
        _sweep_flags,
    )(command)


def _sweep_flags(command: Command) -> Command:
    return _apply(
        click.option("--dataset", metavar="NAME[:VALUE]", help="The probe set, such as images:DIR or dicom:DIR."),
        click.option("--dataset-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable."),
        selection_flags,
        click.option("--recipe", metavar="NAME", help="Preprocessing of every image before each model's own."),
        click.option("--recipe-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable."),
        click.option(
            "--cache",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Keep decoded images there: a second study decodes nothing.",
        ),
        click.option(
            "--cache-size",
            type=click.IntRange(min=1),
            default=50,
            show_default=True,
            help="How large it may grow, in GB.",
        ),
        click.option(
            "--keep-identifiers",
            is_flag=True,
            help="Show the data set's own image ids, and whole paths in the manifest.",
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
        click.option(
            "--precision",
            type=click.Choice(["fp32", "bf16", "fp16"]),
            default="fp32",
            show_default=True,
            help="bf16 and fp16 use autocast.",
        ),
        click.option(
            "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Images per forward pass."
        ),
        click.option("--workers", type=click.IntRange(min=0), help="Decoding processes.  [default: by the images]"),
        click.option(
            "--on-error",
            type=click.Choice(["stop", "skip"]),
            default="stop",
            show_default=True,
            help="Images that cannot be used: refuse the run, or leave them out.",
        ),
    )(command)


def selection_flags(command: Command) -> Command:
    """Add the flags that choose among the images of a data set."""
    return _apply(
        click.option(
            "--where", metavar="EXPRESSION", help='Which images, such as: \'split == "test" and view == "MLO"\'.'
        ),
        click.option("--limit", type=click.IntRange(min=1), help="At most so many images."),
        click.option("--per-patient", type=click.IntRange(min=1), help="At most so many images of a patient."),
        click.option("--seed", type=click.IntRange(min=0), help="Draw them at random.  [default: the first ones]"),
    )(command)


_WORDING = {"template": "templates", "synonyms": "synonyms", "reference_prompt": "reference"}


def wording_flags(command: Command) -> Command:
    """Add the flags that say how concepts are put to the dissector."""
    return _apply(
        click.option(
            "--template",
            multiple=True,
            metavar="TEXT",
            help="A sentence around concepts: 'a mammogram showing {concept}'. Repeatable, averaged.",
        ),
        click.option(
            "--synonyms",
            type=click.Choice(["off", "max", "log-mean-exp"]),
            default="off",
            show_default=True,
            help="Compare images with the synonyms of a concept too, and how they become one.",
        ),
        click.option(
            "--reference-prompt",
            metavar="TEXT",
            help="A prompt without a concept, such as 'a mammogram': its cosine is subtracted.",
        ),
    )(command)


def chosen_wording(ctx: click.Context, before: Mapping[str, object]) -> dict[str, object]:
    """Return how concepts are worded: the settings of before, overruled by what stands on the command line."""
    given = {
        key: ctx.params[flag]
        for flag, key in _WORDING.items()
        if ctx.get_parameter_source(flag) is ParameterSource.COMMANDLINE
    }
    return {**before, **given}


_CALIBRATION = ("q", "correction", "exchangeable", "draws", "null_seed")


def calibration_flags(command: Command) -> Command:
    """Add the flags that say how labels are told from chance."""
    return _apply(
        click.option(
            "--q",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            default=0.05,
            show_default=True,
            help="False discovery rate that labels are held to.",
        ),
        click.option(
            "--correction",
            default="benjamini-hochberg",
            show_default=True,
            type=click.Choice(["benjamini-hochberg", "benjamini-yekutieli", "storey"]),
            help="Over the neurons of a layer.",
        ),
        click.option(
            "--exchangeable",
            type=click.Choice(["auto", "patient", "image"]),
            default="auto",
            show_default=True,
            help="What chance may exchange; auto: patients where they are known.",
        ),
        click.option(
            "--draws",
            type=click.IntRange(min=0),
            default=1000,
            show_default=True,
            help="Draws of the null to begin with; 0 leaves significance out.",
        ),
        click.option(
            "--null-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides the draws."
        ),
    )(command)


def chosen_calibration(ctx: click.Context, before: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of the calibration: those of before, overruled by what stands on the command line."""
    given = {name for name in _CALIBRATION if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    return {**before, **{name: ctx.params[name] for name in _CALIBRATION if name in given}}


def chosen_selection(flags: Mapping[str, object]) -> Selection:
    """Return which images the flags of `selection_flags` ask for."""
    from mcd.study.selection import Selection

    return Selection.model_validate({name: flags[name] for name in ("where", "limit", "per_patient", "seed")})


def scoring_flags(command: Command) -> Command:
    """Add the flags that choose scorer, concepts and reporters."""
    return _apply(
        click.option("--concepts", multiple=True, metavar="NAME|FILE[,…]", help="Concept set. Repeatable, joined."),
        click.option("--concepts-arg", multiple=True, metavar="[NAME.]KEY=VALUE", help="A setting of it. Repeatable."),
        click.option(
            "--scorer",
            metavar="NAME[:VALUE]|FILE.py:FUNCTION",
            help="How neurons and concepts are scored; a function (A, P) -> S of a file serves too.",
        ),
        click.option("--scorer-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable."),
        wording_flags,
        calibration_flags,
        click.option(
            "--labels",
            "labels_per_neuron",
            type=click.IntRange(min=1),
            default=10,
            show_default=True,
            help="How many concepts a neuron keeps.",
        ),
        click.option(
            "--reporter",
            "reporters",
            multiple=True,
            metavar="NAME[:VALUE]",
            help="What to print or write into report/. Repeatable.  [default: console]",
        ),
        click.option("--reporter-arg", multiple=True, metavar="[NAME.]KEY=VALUE", help="A setting of it. Repeatable."),
    )(command)


def choices(names: Sequence[str], arguments: Sequence[str], flag: str) -> list[dict[str, object]]:
    """Return repeatable components with their settings; ``NAME.key=value`` says whose a setting is.

    Raises
    ------
    ConfigError
        When it is not clear, or nobody, to whom a setting belongs.
    """
    from mcd.options import parse_pairs

    made: list[dict[str, object]] = [{"plugin": name, "options": {}} for name in names]
    for key, value in parse_pairs(arguments, flag).items():
        owner, dot, setting = key.partition(".")
        if not dot:
            owner, setting = "", key
        fitting = [
            one
            for name, one in zip(names, made, strict=True)
            if not owner or name.partition(":")[0].replace("-", "_") == owner
        ]
        if len(fitting) != 1:
            hint = f"write {flag} NAME.{setting}=VALUE with one of: {', '.join(names)}" if names else ""
            raise ConfigError(f"{flag} {key}=… belongs to {len(fitting)} of the given components", hint)
        options = fitting[0]["options"]
        assert isinstance(options, dict)
        options[setting] = value
    return made


def concept_choices(references: Sequence[str], arguments: Sequence[str]) -> list[dict[str, object]]:
    """Return concept sets with their settings; one flag may hold several, with commas between.

    Raises
    ------
    ConfigError
        As `choices`, and for a comma too many.
    """
    from mcd.study.vocabularies.loading import split_references

    names = [part for reference in references for part in split_references(reference)]
    return choices(names, arguments, "--concepts-arg")


def study_settings(ctx: click.Context, document: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a study: the document's, overruled by what stands on the command line.

    Raises
    ------
    ConfigError
        When a model flag meets a study of several models.
    """
    flags = ctx.params
    given = {name for name in flags if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    settings: dict[str, object] = dict(document)
    plain = (
        "device",
        "precision",
        "batch_size",
        "workers",
        "on_error",
        "labels_per_neuron",
        "where",
        "limit",
        "per_patient",
        "seed",
        "cache_size",
        "keep_identifiers",
        "controls",
        "maps",
    )
    settings.update({name: flags[name] for name in plain if name in given})
    if "cache" in given:
        settings["cache"] = str(flags["cache"])
    settings.update(_groups(ctx, settings))
    for name in ("dataset", "scorer", "recipe"):
        before = settings.get(name, _DEFAULTS.get(name))
        merged = _merged(before, flags.get(name), flags.get(f"{name}_arg", ()), name)
        if merged is not None:
            settings[name] = merged
    if "dissector" in given:
        settings["dissectors"] = choices(flags["dissector"], flags["dissector_arg"], "--dissector-arg")
    elif flags["dissector_arg"]:
        known = _only(settings.get("dissectors"), "dissectors")
        settings["dissectors"] = _merged(known, None, flags["dissector_arg"], "dissector")
    if "concepts" in given or flags.get("concepts_arg"):
        settings["concepts"] = concept_choices(flags["concepts"], flags["concepts_arg"])
    if "reporters" in given or "reporters" not in settings:
        names = flags["reporters"] or ("console",)
        settings["reporters"] = choices(names, flags["reporter_arg"], "--reporter-arg")
    if given & {"model", "model_arg", "layers", "pooling"}:
        settings["models"] = [_model(settings.get("models"), flags, given)]
    return settings


def _groups(ctx: click.Context, settings: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that come in groups, where there is one: the document's, overruled by flags."""
    found = {}
    for key, chosen in (("calibration", chosen_calibration), ("prompts", chosen_wording)):
        said = settings.get(key, {})
        found[key] = chosen(ctx, said if isinstance(said, Mapping) else {})
    return {key: group for key, group in found.items() if group}


def _merged(before: object, name: str | None, arguments: Sequence[str], kind: str) -> Mapping[str, object] | str | None:
    """Return a component with the command line's word over the document's."""
    from mcd.options import parse_pairs

    values = parse_pairs(arguments, f"--{kind}-arg")
    if name:
        return {"plugin": name, "options": values}
    if not values:
        return before if isinstance(before, str | dict) else None
    known = {"plugin": before} if isinstance(before, str) else dict(before) if isinstance(before, dict) else None
    if known is None:
        raise ConfigError(f"--{kind}-arg without --{kind}", f"give --{kind} NAME")
    return {**known, "options": {**_options(known), **values}}


def _options(choice: Mapping[str, object]) -> dict[str, object]:
    options = choice.get("options", {})
    return dict(options) if isinstance(options, dict) else {}


def _only(before: object, key: str) -> object:
    """Return the one component that a study has of a kind, or None where it says nothing.

    Raises
    ------
    ConfigError
        When there are several.
    """
    found = before if isinstance(before, list) else [before] if before else []
    if len(found) > 1:
        raise ConfigError(f"the study has several {key}; flags do not say which is meant", "edit the study file")
    return found[0] if found else None


def _model(before: object, flags: Mapping[str, object], given: set[str]) -> dict[str, object]:
    known = _only(before, "models")
    name, arguments, layers = flags["model"], flags["model_arg"], flags["layers"]
    assert isinstance(arguments, tuple)
    merged = _merged(known, str(name) if name else None, arguments, "model")
    if merged is None:
        raise ConfigError("no model given", "give --model-plugin NAME; see: mcd plugins list")
    model: dict[str, object] = {"plugin": merged} if isinstance(merged, str) else dict(merged)
    if isinstance(known, dict):
        model = {**{key: known[key] for key in ("layers", "pooling", "name") if key in known}, **model}
    if "layers" in given:
        assert isinstance(layers, tuple)
        model["layers"] = list(layers)
    if "pooling" in given:
        model["pooling"] = flags["pooling"]
    return model
