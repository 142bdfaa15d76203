"""The command line: parse, call the API, print. Each command is imported when it is used.

Exit codes: 0 done; 1 an error that is none of the following; 2 wrong usage; 3 a plugin at fault or incomplete;
4 data that cannot be used; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from mcd.cli.everywhere import add_named_files, with_flags_of_all
from mcd.cli.state import COMPLETE, State
from mcd.cli.streams import noted_interrupts, watched_output
from mcd.cli.terminal import echo, echo_lines, printing_anything
from mcd.errors import (
    MCDError,
    PluginError,
    lacks_memory,
    lacks_space,
    out_of_space,
    place_of,
    said_by,
    traceback_of,
    worker_lost,
)

__all__ = ["State", "main"]

_GROUPS = {
    "Run a study": {
        "layers": ("mcd.cli.layers:layers", "List the layers of a model."),
        "dissect": ("mcd.cli.dissect:dissect", "Dissect a model: label its neurons with concepts."),
        "run": ("mcd.cli.dissect:run_study", "Run a study file (YAML)."),
        "merge": ("mcd.cli.merge:merge", "Join the parts of a run that several processes computed, and label it."),
        "score": ("mcd.cli.score:score", "Score a stored run anew: other scorer, other concepts, no images."),
        "import": ("mcd.cli.importing:import_results", "Import labels of other tools as run folders of tables."),
    },
    "Read it": {
        "report": ("mcd.cli.report:report", "Report on stored runs: a page to explore, tables."),
        "figures": (
            "mcd.cli.figures:figures",
            "Draw figures of stored runs: layers, changes, coverage, chance, images.",
        ),
        "compare": ("mcd.cli.compare:compare", "Compare runs: models, dissectors or scorers."),
        "evaluate": ("mcd.cli.evaluate:evaluate", "Evaluate the labels of a stored run: how right are they?"),
        "runs": ("mcd.cli.runs:runs", "Verify stored runs: every file against its digest."),
    },
    "Data": {
        "data": ("mcd.cli.data:data", "Inspect a folder of images before a run."),
        "preprocess": ("mcd.cli.preprocess:preprocess", "Write images as a recipe makes them, once and for all."),
        "embed": ("mcd.cli.embed:embed", "Write the embeddings of images or texts: vectors, no labels."),
        "zero-shot": ("mcd.cli.zero_shot:zero_shot", "Score images by pairs of prompts: 'no mass' against 'mass'."),
        "store": ("mcd.cli.store:store", "List, prune or verify what runs have computed and share."),
    },
    "Vocabularies": {
        "concepts": ("mcd.cli.concepts:concepts", "List, show, check or import concept sets."),
    },
    "Plugins and shell": {
        "plugins": ("mcd.cli.plugins:plugins", "List plugins, or show the settings of one."),
        "install": ("mcd.cli.install:install", "Install plugins, with pip."),
        "uninstall": ("mcd.cli.install:uninstall", "Remove plugins, with pip."),
        "completion": (
            "mcd.cli.completion:completion",
            "Print what makes a shell complete mcd, names of components too.",
        ),
    },
}
"""Commands by what they are for: where each is, and its line in ``mcd --help``."""

_COMMANDS = {name: found for group in _GROUPS.values() for name, found in group.items()}

_OF_PLUGINS = "Of plugins"


class _Commands(click.Group):
    """Built-in commands by name, then those of plugins; none is imported to be listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *self._plugin_summaries(ctx)})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _COMMANDS:
            import importlib

            module, _, attribute = _COMMANDS[name][0].partition(":")
            return _flagged(getattr(importlib.import_module(module), attribute))
        if name not in self._plugin_summaries(ctx):
            return None
        from mcd.components import Kind

        state = ctx.ensure_object(State)
        state.command = str(state.host.find(Kind.COMMAND, name))
        return _flagged(state.host.load(Kind.COMMAND, name))

    def _plugin_summaries(self, ctx: click.Context) -> dict[str, str]:
        from mcd.components import Kind

        offers = ctx.ensure_object(State).host.offers(Kind.COMMAND)
        return {offer.component.name: offer.component.summary for offer in offers}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS:
            add_named_files(ctx.ensure_object(State), args[1:])
        if args and args[0] not in _COMMANDS and args[0] not in self.list_commands(ctx):
            from mcd.errors import UnknownNameError, nearest

            raise UnknownNameError(f"no command named '{args[0]}'", nearest(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        summaries = {name: summary for name, (_, summary) in _COMMANDS.items()} | self._plugin_summaries(ctx)
        named = [CompletionItem(one, help=summaries[one]) for one in summaries if one.startswith(incomplete)]
        return named or click.Command.shell_complete(self, ctx, incomplete)  # its options

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = {
            heading: {name: summary for name, (_, summary) in commands.items()} for heading, commands in _GROUPS.items()
        }
        if others := self._plugin_summaries(ctx):
            groups[_OF_PLUGINS] = dict(sorted(others.items()))
        width = max(len(name) for commands in groups.values() for name in commands)
        for heading, commands in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])


def _flagged(found: object) -> click.Command | None:
    return with_flags_of_all(found) if isinstance(found, click.Command) else None


def _print_versions(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from mcd.version import versions

    for name, version in versions().items():
        echo(f"{name} {version}")
    ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Show the versions of mcd and of what it runs on.",
)
def cli() -> None:
    """mcd (Mammo-CLIP Dissect) shows what a mammography model has learned.

    It shows the model a set of mammograms, records how strongly every neuron responds, and names each neuron
    with words from a radiology vocabulary. Research software, never a medical device.

    Start with: mcd demo
    """  # noqa: D403 -- mcd is how the command is written


_cli = with_flags_of_all(cli)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the only place where errors become text and exit codes."""
    state = State()
    state.arguments = list(arguments) if arguments is not None else sys.argv[1:]
    printing_anything()
    if COMPLETE in os.environ:
        from mcd.cli.completion import answer

        answer(_cli, state)
        return
    with watched_output() as output, noted_interrupts() as interrupted:
        try:
            code = _cli.main(
                args=list(arguments) if arguments is not None else None,
                prog_name="mcd",
                obj=state,
                standalone_mode=False,
            )
            sys.stdout.flush()
        except (Exception, SystemExit) as error:  # click raises no SystemExit here: somebody else's code did
            if state.debug or "--debug" in sys.argv:
                _say(traceback_of(error))
            code = _exit_code(_ours(error, state.command), output.refused, interrupted=bool(interrupted))
        except KeyboardInterrupt as error:
            code = _exit_code(error, None, interrupted=True)
    sys.exit(code if isinstance(code, int) else 0)


def _exit_code(error: BaseException, refused: OSError | None, *, interrupted: bool) -> int:
    """Say what happened; what is none of our errors is raised."""
    if interrupted or isinstance(error, click.Abort):
        _say("interrupted; results so far are stored: the same command continues from there")
        return 130
    if refused is not None:  # whoever printed then, a plugin perhaps, is not to blame
        if not isinstance(refused, BrokenPipeError):  # the reader of our output (head, less) has gone
            _say(
                f"error: standard output cannot be written: {refused.strerror}\n  hint: free space, or write elsewhere"
            )
        return 1
    if isinstance(error, click.ClickException):
        said = io.StringIO()
        error.show(said)
        _say(said.getvalue())
        return error.exit_code
    if not isinstance(error, MCDError):
        raise error
    _say(f"error: {error.message}")
    if error.hint:
        _say("  hint: " + error.hint.replace("\n", "\n        "))
    return error.exit_code


def _ours(error: BaseException, command: str) -> BaseException:
    """Return the message about an exception that nobody handled, or about code that ended the program.

    ``command`` is that of a plugin that runs, if one does.
    """
    if isinstance(error, SystemExit):
        return PluginError(f"code that is not mcd's ended the program: {said_by(error)}", "see which with: --debug")
    if not isinstance(error, MCDError) and (lost := worker_lost(error)):
        return lost
    if not isinstance(error, MCDError) and lacks_memory(error):
        hint = "give it less at once (--batch-size, --workers, a smaller probe set), or another machine"
        return MCDError("this machine has too little memory for it", hint)
    if not isinstance(error, MCDError) and lacks_space(error):
        return out_of_space()
    if command and not isinstance(error, MCDError | click.ClickException | click.Abort | OSError):
        return PluginError(f"{command} failed: {said_by(error)}{place_of(error)}", "see the traceback with: --debug")
    return error


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the exit code remains
        echo_lines(text, err=True)
