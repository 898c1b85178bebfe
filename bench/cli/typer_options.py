"""Converts options of the table into Typer's."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from loop_bench.cli.options import words
from loop_bench.experiments.experiment import ExistingFile, Flag, Folder, Option, RealNumber, WholeNumber


def typed(option: Option) -> Any:
    """The typer.Option of an option, for a parameter's annotation."""
    text = words(option)
    text = f"{text[0].upper()}{text[1:]}."
    if option.default is None and option.default_words:
        text = f"{text} Default: {option.default_words}."
    settings: dict[str, Any] = {"help": text, "metavar": option.command_metavar or option.metavar}
    if isinstance(option.kind, WholeNumber | RealNumber):
        settings["min"] = option.kind.least
    return typer.Option(option.name, *option.also, **settings)


def signature(options: Iterable[Option]) -> inspect.Signature:
    """The signature of a command with these options, from which Typer builds its interface."""
    return inspect.Signature([_parameter(option) for option in options])


def _parameter(option: Option) -> inspect.Parameter:
    kind: Any = {WholeNumber: int, RealNumber: float, Flag: bool, Folder: Path, ExistingFile: Path}.get(
        type(option.kind), str
    )
    default: Any = option.default
    if isinstance(option.kind, Flag):
        default = False
    elif option.repeated:
        kind = list[str] | None
    elif default is None:
        kind = kind | None
    return inspect.Parameter(
        option.key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, typed(option)]
    )
