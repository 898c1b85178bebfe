"""How training looks in a terminal and in a pipe: while it goes on, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typing_extensions import Self

if TYPE_CHECKING:  # imports TensorFlow, which takes seconds
    from loop_bench.seqgan.training import Training

STRONG_ACCURACY = 0.7  # from here on the discriminator sees through the generator

_FORMATS = {
    "temperature": "T {:.2f}",
    "mle_loss": "mle loss {:.3f}",
    "g_loss": "g loss {:.3f}",
    "d_loss": "d loss {:.3f}",
    "d_accuracy": "d accuracy {:.0%}",
    "g_reward": "reward {:.3f}",
    "ms_per_batch": "{:.1f} ms/batch",
}


def describe(metrics: Mapping[str, float]) -> str:
    """The metrics of a moment or an epoch in one line; a strong discriminator is marked."""
    parts = [form.format(metrics[name]) for name, form in _FORMATS.items() if name in metrics]
    if metrics.get("d_accuracy", 0.0) > STRONG_ACCURACY:
        parts[next(i for i, part in enumerate(parts) if part.startswith("d accuracy"))] += " 🎯"
    return ", ".join(parts)


class TrainingDisplay:
    """A bar for the epoch in hand on a terminal; everywhere, one line an epoch when it is done.

    Args:
        console: to print to.
        between: called after each batch, or window of batches, and each epoch: there it may stop the run.
    """

    def __init__(self, console: Console, between: Callable[[], None] = lambda: None) -> None:
        self._console = console
        self._between = between
        self._title = ""
        self._phase = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left in phase"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, metrics="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.stop()

    def epoch_begins(self, phase: str, epoch: int, epochs: int, batches: int) -> None:
        """See `loop_bench.seqgan.training.Observer`."""
        self._title = f"{phase} {epoch + 1}/{epochs}"
        total = epochs * batches
        if phase != self._phase:
            self._bar.reset(self._task, total=total, completed=epoch * batches)
        self._phase = phase
        self._bar.update(self._task, description=self._title, total=total, completed=epoch * batches, metrics="")

    def advance(self, batches: int, metrics: Mapping[str, float]) -> None:
        """See `loop_bench.seqgan.training.Observer`."""
        self._bar.update(self._task, advance=batches, metrics=describe(metrics))
        self._between()

    def epoch_ends(self, metrics: Mapping[str, float]) -> None:
        """See `loop_bench.seqgan.training.Observer`."""
        self._console.print(f"{self._title}: {describe(metrics)}", soft_wrap=True, highlight=False)
        self._between()


def summarise(console: Console, training: Training, out: Path, compiled: str | None) -> None:
    """Prints the summary of a run: its times, skipped updates and NLL, and where its results are.

    Args:
        console: to print to.
        training: the run, at its end.
        out: its folder.
        compiled: where its compiled programs came from, in a line; None for nothing to say.
    """
    from loop_bench.seqgan.guard import WHY  # here, because it imports TensorFlow, which takes seconds

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False)

    timing = training.timing
    if not training.epochs:
        say(f"nothing was left to do in {out}; --resume --set epochs=N trains on, up to epoch N")
        return
    if timing.first_batch is not None:
        say(f"first adversarial batch, with compilation: {timing.first_batch:.1f} s")
    if compiled:
        say(compiled)
    if timing.windows:
        low, high = min(timing.windows), max(timing.windows)
        say(f"ms/batch after it: min {low:.2f}, mean {sum(timing.windows) / len(timing.windows):.2f}, max {high:.2f}")
    if any(skipped := training.skipped_updates.values()):
        say(f"updates skipped {WHY}: {sum(skipped)}")
        for network, batches in training.skipped_batches.items():
            if batches:
                say(f"adversarial batches in which an update of the {network} was skipped: {_first_few(batches)}")
    if training.oracle_nll is not None:
        written, own = training.oracle_nll
        say(f"the oracle's NLL, nats a token: {written:.3f} of the generator's lines, {own:.3f} of its own")
    say(f"done; {out} holds the checkpoint and history.csv")


def _first_few(batches: Sequence[int], most: int = 5) -> str:
    named = ", ".join(map(str, batches[:most]))
    return named if len(batches) <= most else f"{named} and {len(batches) - most} more"
