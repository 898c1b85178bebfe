"""IPython extension `%load_ext loop_bench.hostsync`: the cell magic `%%host_syncs`, for IPython and Jupyter."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import sys
from types import FrameType
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display
from rich.console import Console

from loop_bench.errors import HostSyncError
from loop_bench.machine import driver
from loop_bench.report import html, terminal
from loop_bench.source import is_cell, shorter

if TYPE_CHECKING:
    from loop_bench.hostsync.command.findings import Syncs


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Registers the magics; called by `%load_ext`."""
    shell.register_magics(HostSyncMagics)


@magics_class
class HostSyncMagics(Magics):
    """The magics of the extension."""

    @magic_arguments()
    @argument("--disallow", action="store_true", help="End the cell at its first host sync.")
    @argument("--stack", action="store_true", help="Name the code in Keras and other libraries that reads for a line.")
    @argument("--no-advice", action="store_true", help="Leave out the advice on the lines that matter.")
    @cell_magic
    def host_syncs(self, line: str, cell: str) -> None:
        """Run a cell, and show each line that reads a tensor to the host and each function that is retraced."""
        options = parse_argstring(self.host_syncs, line)
        # Here, because it imports TensorFlow, for which `%load_ext` should not wait.
        from loop_bench.hostsync.command.findings import watched

        if _in_event_loop() and self.shell.should_run_async(cell, transformed_cell=self.shell.transform_cell(cell)):
            raise UsageError("%%host_syncs cannot run a cell with await in Jupyter; use hostsync.record() in the cell")
        refused: BaseException | None = None
        number = _number(self.shell.execution_count)
        with watched(f"cell {number}", options.disallow, options.stack, driver.has_gpu()) as watching:
            try:
                with watching.guard or contextlib.nullcontext():
                    result = self._run(line, cell, number)
                    refused = result.error_before_exec or result.error_in_exec
            except HostSyncError as error:  # could not be raised at the read itself
                refused = error
            watching.exit_code = int(refused is not None)
        display(SyncsDisplay(watching.syncs, not options.no_advice))
        if refused:
            __tracebackhide__ = True  # IPython leaves this frame out
            raise refused

    def _run(self, line: str, cell: str, number: int) -> ExecutionResult:
        """Runs the cell without showing its error, which is in the result and raised again after the tables."""
        shell = self.shell
        # The magic's line stays as a comment, so that line numbers are those of the cell.
        body = cell if cell.startswith("%%") else f"# %%host_syncs {line}\n{cell}"
        if cell.rstrip().endswith(";"):
            body += "\nNone"  # IPython looks for the semicolon in the whole cell, which ends with the magic's call
        name_cell = shell.compile.cache  # by version, IPython's counter is this cell's number or the next one's
        shell.compile.cache = lambda code, _=0, raw_code=None: name_cell(code, number, raw_code=raw_code)
        shell.showtraceback = shell.showsyntaxerror = lambda *args, **kwargs: None
        try:
            return shell.run_cell(body)
        finally:
            del shell.compile.cache, shell.showtraceback, shell.showsyntaxerror


def _in_event_loop() -> bool:
    """Whether this thread has a running event loop, as in Jupyter; no other can be run inside it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _number(default: int) -> int:
    """Number of the running cell, from its file name on the stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_cell(cell := shorter(frame.f_code.co_filename)):
            return int(cell.split()[1])
        frame = frame.f_back
    return default


@dataclasses.dataclass(frozen=True, repr=False)
class SyncsDisplay:
    """Result of a cell, displayed as HTML in a notebook and as text in a terminal."""

    syncs: Syncs
    with_advice: bool

    def _repr_html_(self) -> str:
        from loop_bench.hostsync.command import table

        tables = [html.table(texts, title) for title, texts in table.tables(self.syncs)]
        after = [*table.advice(self.syncs, self.with_advice), *table.notes(self.syncs)]
        return "\n".join([html.lines(table.totals(self.syncs)), *tables, html.lines(after)])

    def __repr__(self) -> str:
        from loop_bench.hostsync.command import table

        text = io.StringIO()
        console = Console(
            file=text, force_terminal=False, force_jupyter=False, width=terminal.console(in_a_pipe=160).width
        )
        table.show(console, self.syncs, self.with_advice)
        return text.getvalue()
