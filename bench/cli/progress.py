"""What is running, and for how long still."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

BATCH_OF_ALL = 0.15
"""Rough seconds for a batch of all timed loops at preset paper on two cores: the display shares out the work by it."""


class Stopwatch:
    """The time left of a piece of work whose parts have known weights.

    The weights need only be right to a factor: after each part, what is left is rescaled by how long the
    parts before it took.

    Args:
        total: weight of all parts.
        clock: gives seconds.
    """

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0.0
        self._clock = clock
        self._started = clock()

    def advance(self, weight: float) -> None:
        """A part of this weight is done."""
        self.done = min(self.total, self.done + weight)

    def left(self) -> float | None:
        """Seconds, as far as can be told; None before the first part is done."""
        if not self.done:
            return None
        return (self._clock() - self._started) * (self.total - self.done) / self.done


class ProgressDisplay:
    """A bar on a terminal; elsewhere a line for each stage that begins.

    It is drawn when it is told something and not by a thread of its own, which would take time from the loop
    that is being measured.
    """

    def __init__(self, console: Console, total: float) -> None:
        self._console = console
        self._watch = Stopwatch(total)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            _TimeLeft(self._watch),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)
        self._shown = False
        self._title = ""

    @property
    def done(self) -> float:
        """The weight of the parts that are done."""
        return self._watch.done

    def stage(self, title: str, detail: str = "") -> None:
        """What is running from now on; a detail is for the bar alone."""
        if not self._shown:
            self._console.print()  # pytest has begun a line of its own
            self._shown = True
            if self._console.is_terminal:
                self._bar.start()
        if self._console.is_terminal:
            self._bar.update(self._task, description=f"{title}{detail}", refresh=True)
        elif title != self._title:
            self._console.print(f"{title} ({_say(self._watch.left())})", soft_wrap=True, highlight=False)
        self._title = title

    def advance(self, weight: float) -> None:
        """A part of this weight is done."""
        self._watch.advance(weight)
        self._bar.update(self._task, completed=self._watch.done, refresh=self._shown and self._console.is_terminal)

    def part(self, weight: float) -> Callable[[str, float], None]:
        """Begins a part of this weight; gives what is to be told each stage that begins, and the share that is done."""
        before = self.done

        def tell(title: str, share: float) -> None:
            self.advance(max(0.0, before + weight * share - self.done))
            self.stage(title)

        return tell

    def weighted(self, scale: float = 1.0) -> Callable[[str, str, float], None]:
        """What is to be told each stage, a detail of it, and the weight of what was done since it was told last.

        Args:
            scale: weights of this display for weights that it is told.
        """

        def tell(stage: str, detail: str, weight: float) -> None:
            self.advance(scale * weight)
            self.stage(stage, detail)

        return tell

    def pause(self) -> None:
        """Leaves the terminal to someone else until the next stage."""
        if self._shown and self._console.is_terminal:
            self._bar.stop()
        self._shown = False
        self._title = ""


class _TimeLeft(ProgressColumn):
    def __init__(self, watch: Stopwatch) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._watch = watch

    def render(self, task: Task) -> Text:
        return Text(_say(self._watch.left()))


class TrialsDisplay:
    """A bar for work in equal parts on a terminal; elsewhere a line for each tenth of it.

    Unlike `ProgressDisplay` it draws by a thread of its own.

    Args:
        console: to draw on.
        total: parts.
        parts: what they are called.
        per_second: how often it draws; seldom where the parts are timed meanwhile.
    """

    def __init__(self, console: Console, total: int, parts: str = "runs", per_second: float = 10) -> None:
        self.total = self.left = total
        self._console = console
        self._parts = parts
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(
            *columns,
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=per_second,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.stop()

    def done(self, title: str) -> None:
        """One more part has come to its end."""
        self.left -= 1
        done = self.total - self.left
        self._bar.update(self._task, completed=done, description=title)
        if not self._console.is_terminal and 10 * done // self.total > 10 * (done - 1) // self.total:
            self._console.print(f"{done} of {self.total} {self._parts}: {title}", soft_wrap=True, highlight=False)


def _say(seconds: float | None) -> str:
    if seconds is None:
        return "time left unknown yet"
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes}:{rest:02} left"
