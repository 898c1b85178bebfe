"""`loop-bench run`: the main job for those who do not think in pytest."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NoReturn

import pytest
import typer

from loop_bench.cli import homes, options, typer_options
from loop_bench.experiments.experiment import Flag, Option

_ALONE = ("-c", os.devnull, "--rootdir", ".", "--noconftest", "-p", "no:cacheprovider", "--no-header")
"""Options that leave out the configuration and the conftest.py of the current folder, which are for the tests of that
project, and write no cache of pytest's there."""


def arguments(given: Mapping[str, Any], storage: str) -> list[str]:
    """The command line of pytest that does the same.

    Args:
        given: values of the options, by their keys, as Typer gives them.
        storage: a folder for pytest-benchmark, which makes one even if nothing is to be kept.
    """
    kept = f"--benchmark-storage=file://{storage}"
    return ["--pyargs", "loop_bench", "--benchmark-only", kept, *_ALONE, *_written(given)]


def _written(given: Mapping[str, Any]) -> Iterator[str]:
    for option in _options():
        value = given[option.key]
        if isinstance(option.kind, Flag):
            yield from [option.name] if value else []
        elif value is not None:
            yield from (f"{option.name}={each}" for each in (value if option.repeated else [value]))


def _options() -> tuple[Option, ...]:
    return (*options.of_run(), *options.GATE, options.FULL_TRACE)


def _pytest(given: Mapping[str, Any]) -> NoReturn:
    # In this process: nothing is imported yet that pytest would have to import first, Ctrl-C and the exit code are
    # pytest's own, and Python need not start again, as it would by exec.
    with tempfile.TemporaryDirectory() as storage:
        code = pytest.main(arguments(given, storage))
    raise typer.Exit(int(code))


def _command() -> Callable[..., None]:
    def run(**given: Any) -> None:
        """Compare two training loops: speed, host syncs, survival.

        Both are timed in turns in one process, with a second instance of the loop before, which shows the noise. Their
        host syncs and retraces are counted, a pair that can be is held against each other batch by batch, and both are
        put through faults, each in a process of its own. Table, plots and a page go into --results with a record, from
        which `report`, `compare`, `gate` and `history` go on.

        Three minutes on two cores by default. It is `pytest --pyargs loop_bench --benchmark-only` with the same
        options, and without what the current folder says of its own tests.

        The exit code: 0 measured, and within every limit; 1 a test failed, or over a limit; 2 wrong use, no such loop,
        or Ctrl-C; 3 a limit was given, and the run cannot tell; 4 invalid.

        Examples: loop-bench run --before my_package.old:make_loop --after my_package.new:make_loop --preset any

        loop-bench run --preset tiny --max-syncs 0.5 --min-speedup 1.2
        """
        _pytest(given)

    run.__signature__ = typer_options.signature(_options())  # type: ignore[attr-defined]
    return run


def _against() -> Callable[..., None]:
    def against(revision: str, **given: Any) -> None:
        """Compare a loop with itself at another git revision: is this branch slower than main?

        Before is the factory of --after at the revision, checked out beside the working tree in a temporary folder that
        is gone afterwards; after is the working tree as it is, uncommitted changes included. Each lives in processes of
        its own, which take turns, and a second one of before shows the noise. Everything else is as `loop-bench run`
        does it, and so are the options and the exit codes.

        What git does not track, the revision has not: --link PATH puts it there. Where the factory has another name at
        the revision: --before MODULE:FACTORY.

        Examples: loop-bench against main --after my_package.train:make_loop

        loop-bench against HEAD~1 --after my_package.train:make_loop --max-slowdown 3% --link data
        """
        _pytest({**given, homes.AGAINST.key: revision})

    others = typer_options.signature(option for option in _options() if option.name != homes.AGAINST.name)
    which = typer.Argument(
        metavar=homes.AGAINST.metavar, help="A name of a commit: main, origin/main, HEAD~1, v1.2.", show_default=False
    )
    first = inspect.Parameter("revision", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, which])
    against.__signature__ = others.replace(parameters=[first, *others.parameters.values()])  # type: ignore[attr-defined]
    return against


COMMAND = _command()
AGAINST = _against()
