"""Progress and summary of training, for a terminal and for a pipe."""

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

STRONG_ACCURACY = 0.7  # above this, the generator does not fool the discriminator

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
    """Metrics in one line, with a mark for a strong discriminator."""
    parts = [form.format(metrics[name]) for name, form in _FORMATS.items() if name in metrics]
    if metrics.get("d_accuracy", 0.0) > STRONG_ACCURACY:
        parts[next(i for i, part in enumerate(parts) if part.startswith("d accuracy"))] += " 🎯"
    return ", ".join(parts)


class TrainingDisplay:
    """Shows a progress bar for the epoch in progress, on a terminal only, and prints one line per finished epoch.

    Args:
        console: console to print to.
        between: called after each batch, or window of batches, and after each epoch; may raise to stop the run.
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
    """Prints the summary of a run: its times, skipped updates, NLL and output folder.

    Args:
        console: console to print to.
        training: the finished run.
        out: the run's folder.
        compiled: message on the compile cache; None: none.
    """
    from loop_bench.seqgan.guard import WHY  # here, because it imports TensorFlow, which takes seconds

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False)

    timing = training.timing
    if not training.epochs:
        say(f"training in {out} is complete already; --resume --set epochs=N continues it up to epoch N")
        return
    if timing.first_batch is not None:
        say(f"first adversarial batch, with compilation: {timing.first_batch:.1f} s")
    if compiled:
        say(compiled)
    if timing.windows:
        low, high = min(timing.windows), max(timing.windows)
        say(f"ms/batch after that: min {low:.2f}, mean {sum(timing.windows) / len(timing.windows):.2f}, max {high:.2f}")
    if any(skipped := training.skipped_updates.values()):
        say(f"updates skipped {WHY}: {sum(skipped)}")
        for network, batches in training.skipped_batches.items():
            if batches:
                say(f"adversarial batches in which an update of the {network} was skipped: {_first_few(batches)}")
    if training.oracle_nll is not None:
        written, own = training.oracle_nll
        say(f"oracle NLL, nats per token: {written:.3f} for the generator's lines, {own:.3f} for the oracle's own")
    say(f"done; {out} contains the checkpoint and history.csv")


def _first_few(batches: Sequence[int], most: int = 5) -> str:
    named = ", ".join(map(str, batches[:most]))
    return named if len(batches) <= most else f"{named} and {len(batches) - most} more"
