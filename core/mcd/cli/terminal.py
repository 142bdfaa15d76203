"""What is printed, in one place: nothing that comes from a file or a name steers the terminal."""

from __future__ import annotations

import io
import sys

import click

from mcd.errors import printable

__all__ = ["echo", "echo_lines", "printing_anything"]


def printing_anything() -> None:
    """Let a stream whose encoding lacks a character show its code instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo(text: str = "", *, err: bool = False, bold: bool = False) -> None:
    """Print one line of ours, with names of others in it; empty lines before and after it are ours too."""
    inner = text.strip("\n")
    shown = click.style(printable(inner), bold=True) if bold else printable(inner)
    before, _, after = text.partition(inner) if inner else (text, "", "")
    click.echo(f"{before}{shown}{after}", err=err)


def echo_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines: a document, wrapped words. Names in it must be without line breaks."""
    click.echo(printable(text.rstrip("\n"), lines=True), err=err)
