"""Progress of a command: the stage that is running, and a forecast of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from typing_extensions import Self


class Forecast:
    """Forecast of the time left in a run of consecutive pieces.

    A piece that has not begun counts by its expected seconds; the piece in progress more and more by its own pace.

    Args:
        pieces: return the expected seconds of each piece, called again for each forecast; None: not known.
        clock: returns seconds.
    """

    _OWN_PACE_ONLY = 0.3  # share of a piece done from which only its own pace counts

    def __init__(
        self, pieces: Sequence[Callable[[], float | None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pieces = list(pieces)
        self._clock = clock
        self._began = self._since = clock()
        self._current = -1
        self._share = 0.0

    def begin(self) -> None:
        """Begins the next piece."""
        self._current += 1
        self._share, self._since = 0.0, self._clock()

    def reach(self, share: float) -> None:
        """Sets the share of the piece in progress that is done, from 0 to 1; a smaller share than before is ignored."""
        self._share = max(self._share, min(1.0, share))

    def after(self) -> float:
        """Expected seconds of the pieces that have not begun."""
        return sum(piece() or 0.0 for piece in self._pieces[self._current + 1 :])

    def left(self) -> float | None:
        """Seconds left in the run; None: the duration of the piece in progress is not known."""
        elapsed = self._clock() - self._since
        expected = self._pieces[self._current]() if 0 <= self._current < len(self._pieces) else 0.0
        if not self._share:
            return None if expected is None else max(0.0, expected - elapsed) + self.after()
        at_own_pace = elapsed / self._share
        weight = 1.0 if expected is None else min(1.0, self._share / self._OWN_PACE_ONLY)
        total = weight * at_own_pace + (1 - weight) * (expected or 0.0)
        return max(0.0, total - elapsed) + self.after()

    def done(self) -> float:
        """Share of the run that is done, by time, from 0 to 1."""
        elapsed, left = self._clock() - self._began, self.left()
        return 0.0 if not left else elapsed / (elapsed + left)


class ProgressDisplay:
    """A progress bar on a terminal; elsewhere one line for each stage that begins.

    The bar is redrawn only when a method is called: a drawing thread would take time from the loop being measured.

    Args:
        console: to draw on.
        forecast: time left of the work; None: a single piece of unknown duration, which begins now.
    """

    def __init__(self, console: Console, forecast: Forecast | None = None) -> None:
        if forecast is None:
            forecast = Forecast([lambda: None])
            forecast.begin()
        self.forecast = forecast
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            _TimeLeft(forecast),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0)
        self._shown = False
        self._title = ""

    def stage(self, title: str, detail: str = "") -> None:
        """Shows the stage that runs from now on; the detail appears only in the bar."""
        if not self._shown:
            self._console.print()  # ends the line that pytest has begun
            self._shown = True
            if self._console.is_terminal:
                self._bar.start()
        if self._console.is_terminal:
            self._bar.update(self._task, description=f"{title}{detail}", completed=self.forecast.done(), refresh=True)
        elif title != self._title:
            self._console.print(f"{title} ({_say(self.forecast.left())})", soft_wrap=True, highlight=False)
        self._title = title

    def say(self, text: str) -> None:
        """Prints a permanent line above the bar."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def weighted(self, total: float) -> Callable[[str, str, float], None]:
        """Returns a callback for the stages of one piece: stage, detail, and the weight done since the last call.

        Args:
            total: sum of the weights.
        """
        done = 0.0

        def show(stage: str, detail: str, weight: float) -> None:
            nonlocal done
            done += weight
            self.forecast.reach(done / total if total else 0.0)
            self.stage(stage, detail)

        return show

    def pause(self) -> None:
        """Stops drawing until the next stage, so that others can write to the terminal."""
        if self._shown and self._console.is_terminal:
            self._bar.stop()
        self._shown = False
        self._title = ""


class _TimeLeft(ProgressColumn):
    def __init__(self, forecast: Forecast) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._forecast = forecast

    def render(self, task: Task) -> Text:
        return Text(_say(self._forecast.left()))


class TrialsDisplay:
    """A progress bar for work in equal parts on a terminal; elsewhere one line for each tenth of the work.

    Unlike `ProgressDisplay`, it draws from a thread of its own.

    Args:
        console: to draw on.
        total: number of parts.
        parts: name of the parts, in the plural.
        per_second: redraws per second; few if the parts are timed meanwhile.
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
        )
        self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def done(self, title: str) -> None:
        """Counts one more finished part."""
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
