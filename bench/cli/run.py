"""`loop-bench run` and `loop-bench against`: the pytest run behind an interface of its own."""

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

_ISOLATED = ("-c", os.devnull, "--rootdir", ".", "--noconftest", "-p", "no:cacheprovider", "--no-header")
"""Options of pytest that ignore the configuration and conftest.py of the current folder, and write no cache there."""


def arguments(given: Mapping[str, Any], storage: str) -> list[str]:
    """The arguments of pytest that stand for these options.

    Args:
        given: values of the options, by their keys, as Typer passes them.
        storage: a folder for pytest-benchmark, which makes one even when it stores nothing.
    """
    storage_option = f"--benchmark-storage=file://{storage}"
    return ["--pyargs", "loop_bench", "--benchmark-only", storage_option, *_ISOLATED, *_as_arguments(given)]


def _as_arguments(given: Mapping[str, Any]) -> Iterator[str]:
    for option in _options():
        value = given[option.key]
        if isinstance(option.kind, Flag):
            yield from [option.name] if value else []
        elif value is not None:
            yield from (f"{option.name}={text}" for text in (value if option.repeated else [value]))


def _options() -> tuple[Option, ...]:
    return (*options.of_run(), *options.GATE, options.FULL_TRACE)


def _pytest(given: Mapping[str, Any]) -> NoReturn:
    # In this process, because no module is imported yet that pytest must rewrite first, Ctrl-C and the exit code are
    # pytest's own, and exec would start Python a second time.
    with tempfile.TemporaryDirectory() as storage:
        code = pytest.main(arguments(given, storage))
    raise typer.Exit(int(code))


def _command() -> Callable[..., None]:
    def run(**given: Any) -> None:
        """Compare two training loops: speed, host syncs, survival.

        Both loops are timed in alternation in one process, with a second instance of the loop before as the null arm,
        which shows the noise. Host syncs and retraces of both are counted, their results are compared batch by batch
        if the pair declares how, and faults are injected into each in a process of its own. A record, its table, plots
        and a page are written to --results; `report`, `compare`, `gate` and `history` read the record.

        It takes three minutes on two cores by default. The command equals `pytest --pyargs loop_bench --benchmark-only`
        with the same options, but ignores the pytest configuration of the current folder.

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

        Before is the factory of --after at the revision, checked out into a temporary folder that is removed at the
        end; after is the working tree with its uncommitted changes. Each arm runs in processes of its own, which
        alternate, and a second instance of before is the null arm, which shows the noise. Everything else, options and
        exit codes included, is as in `loop-bench run`.

        Files that git does not track are missing at the revision: --link PATH links them there. If the factory has
        another name at the revision, give --before MODULE:FACTORY.

        Examples: loop-bench against main --after my_package.train:make_loop

        loop-bench against HEAD~1 --after my_package.train:make_loop --max-slowdown 3% --link data
        """
        _pytest({**given, homes.AGAINST.key: revision})

    of_options = typer_options.signature(option for option in _options() if option.name != homes.AGAINST.name)
    argument = typer.Argument(
        metavar=homes.AGAINST.metavar,
        help="The git revision to compare with: main, origin/main, HEAD~1, v1.2.",
        show_default=False,
    )
    revision = inspect.Parameter("revision", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, argument])
    against.__signature__ = of_options.replace(  # type: ignore[attr-defined]
        parameters=[revision, *of_options.parameters.values()]
    )
    return against


COMMAND = _command()
AGAINST = _against()
