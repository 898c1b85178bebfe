"""What is running, and for how long still."""

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
    """The time left of a run, made of pieces that follow each other.

    Each piece is expected to take what is known by now; the one in hand, as soon as a part of it is done, what that
    part says.

    Args:
        pieces: give the seconds that each is expected to take, and are asked anew each time; None: not known.
        clock: gives seconds.
    """

    _TOLD_BY_ITSELF = 0.3  # share of a piece from which on its own pace counts, and nothing else

    def __init__(
        self, pieces: Sequence[Callable[[], float | None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pieces = list(pieces)
        self._clock = clock
        self._began = self._since = clock()
        self._current = -1
        self._share = 0.0

    def begin(self) -> None:
        """The next piece begins."""
        self._current += 1
        self._share, self._since = 0.0, self._clock()

    def reach(self, share: float) -> None:
        """So much of the piece in hand is done, from 0 to 1; it never becomes less."""
        self._share = max(self._share, min(1.0, share))

    def after(self) -> float:
        """Seconds expected of the pieces that have not begun."""
        return sum(piece() or 0.0 for piece in self._pieces[self._current + 1 :])

    def left(self) -> float | None:
        """Seconds; None where nothing is known of the piece in hand."""
        elapsed = self._clock() - self._since
        expected = self._pieces[self._current]() if 0 <= self._current < len(self._pieces) else 0.0
        if not self._share:
            return None if expected is None else max(0.0, expected - elapsed) + self.after()
        by_itself = elapsed / self._share
        weight = 1.0 if expected is None else min(1.0, self._share / self._TOLD_BY_ITSELF)
        total = weight * by_itself + (1 - weight) * (expected or 0.0)
        return max(0.0, total - elapsed) + self.after()

    def done(self) -> float:
        """Share of the whole run that is done, by time."""
        elapsed, left = self._clock() - self._began, self.left()
        return 0.0 if not left else elapsed / (elapsed + left)


class ProgressDisplay:
    """A bar on a terminal; elsewhere a line for each stage that begins.

    It is drawn when it is told something and not by a thread of its own, which would take time from the loop
    that is being measured.

    Args:
        console: to draw on.
        forecast: of what is shown; None: of a single piece of unknown length, which begins now.
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
        """What is running from now on; a detail is for the bar alone."""
        if not self._shown:
            self._console.print()  # pytest has begun a line of its own
            self._shown = True
            if self._console.is_terminal:
                self._bar.start()
        if self._console.is_terminal:
            self._bar.update(self._task, description=f"{title}{detail}", completed=self.forecast.done(), refresh=True)
        elif title != self._title:
            self._console.print(f"{title} ({_say(self.forecast.left())})", soft_wrap=True, highlight=False)
        self._title = title

    def say(self, text: str) -> None:
        """Prints a line that stays, above the bar."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def weighted(self, total: float) -> Callable[[str, str, float], None]:
        """What is to be told each stage of a piece, a detail of it, and the weight of what was done since.

        Args:
            total: sum of the weights.
        """
        done = 0.0

        def tell(stage: str, detail: str, weight: float) -> None:
            nonlocal done
            done += weight
            self.forecast.reach(done / total if total else 0.0)
            self.stage(stage, detail)

        return tell

    def pause(self) -> None:
        """Leaves the terminal to someone else until the next stage."""
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
