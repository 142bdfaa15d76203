"""``mcd completion``: what a shell runs when somebody types TAB. Nothing heavy is imported then."""

from __future__ import annotations

import contextlib
import os
import re
import sys

import click
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from mcd.cli.candidates import files
from mcd.cli.state import COMPLETE
from mcd.cli.terminal import echo_lines
from mcd.errors import printable

__all__ = ["answer", "completion"]

_BASH = """\
_mcd_completion() {
    local IFS=$'\\n' line='' last='' word one
    # bash splits words at : and =, which names and settings hold
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        [[ $word == [:=]* || $last == *[:=] ]] || line+=' '
        line+=$word last=$word
    done
    COMPREPLY=()
    for one in $(COMP_LINE="${line# }" _MCD_COMPLETE=bash "$1" 2> /dev/null); do
        [[ $one == *[^[:alnum:]:=/.,_+@-]* ]] && printf -v one %q "$one"
        COMPREPLY+=("$one")
    done
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=/.] ]] && compopt -o nospace
    return 0
}
complete -F _mcd_completion mcd
"""

_ZSH = """\
#compdef mcd
_mcd_completion() {
    local one value
    local -a open closed shown
    for one in "${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" _MCD_COMPLETE=zsh ${words[1]} 2> /dev/null)}"; do
        value=${one%%$'\\t'*}
        [[ -z $value ]] && continue
        if [[ $value == *[:=/.] ]]; then
            open+=("$value")
        else
            closed+=("$value")
            shown+=("${one/$'\\t'/  -- }")
        fi
    done
    (( $#closed )) && compadd -l -d shown -a closed
    (( $#open )) && compadd -S '' -a open
}
compdef _mcd_completion mcd
"""

_FISH = """\
function _mcd_completion
    set -lx COMP_LINE (commandline -cp)
    set -lx _MCD_COMPLETE fish
    mcd 2> /dev/null
end
complete --no-files --command mcd --arguments '(_mcd_completion)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command()
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, flags, files, and the names and settings of components.

    \b
    bash: add to ~/.bashrc      eval "$(mcd completion bash)"
    zsh:  add to ~/.zshrc       eval "$(mcd completion zsh)"     # after compinit
    fish: mcd completion fish > ~/.config/fish/completions/mcd.fish

    A new shell has it. Plugins that are installed later are completed at once.
    """
    echo_lines(_SCRIPTS[shell])


class _Line(ShellComplete):
    """A command line up to the cursor, in the variable COMP_LINE, as all three scripts send it."""

    name = "mcd"
    source_template = ""

    @property
    def typed(self) -> str:
        """What stands of the word at the cursor."""
        return self._words()[1]

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, without ``mcd``, and the one at it."""
        return self._words()

    def _words(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)[1:]
        return (words[:-1], words[-1]) if words and not line[-1:].isspace() else (words, "")

    def items(self) -> list[CompletionItem]:
        """Return what may stand at the cursor, as whole words."""
        before, typed = self._words()
        found = self.get_completions(before, typed)
        flag = re.match(r"--[\w-]+=", typed)  # --dataset=images:… is one word to the shell, and two to click
        head, value = (flag[0], typed[flag.end() :]) if flag else ("", typed)
        shown = []
        for one in found:
            each = [one] if one.type == "plain" else files(value, folders_only=one.type == "dir")
            shown += [CompletionItem(f"{head}{item.value}", help=item.help) for item in each]
        return shown

    def format_completion(self, item: CompletionItem) -> str:
        """Return the line that a script reads: the word, and for shells that show it what it is."""
        return f"{item.value}\t{printable(item.help)}" if item.help else str(item.value)


def answer(command: click.Command, state: object) -> None:
    """Print what a shell may complete, one a line; nothing where the line makes no sense, whatever the reason."""
    with contextlib.suppress(Exception):  # a shell has no place for messages
        line = _Line(command, {"obj": state}, "mcd", COMPLETE)
        shell = os.environ[COMPLETE]
        for one in line.items():
            if not one.value.isprintable():  # it would steer the terminal, or end the line
                continue
            if shell == "bash":  # replaces only what stands behind the last : or =
                breaks = [at.end() for at in re.finditer("[:=]", line.typed)]
                one = CompletionItem(one.value[breaks[-1] if breaks else 0 :])
            sys.stdout.write(line.format_completion(one) + "\n")
