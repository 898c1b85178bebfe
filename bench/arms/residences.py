"""Where the arms of a run live while it lasts: their worktrees, and a process for each timed loop."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from loop_bench.arms.launch import Launch, interpreter, launch
from loop_bench.arms.process import ArmProcess, NotLoadedError
from loop_bench.arms.worktree import Checkout, Worktrees
from loop_bench.arms.zygote import Zygote
from loop_bench.errors import UsageError
from loop_bench.home import Home, Residence
from loop_bench.jobs import pool
from loop_bench.machine.revision import state
from loop_bench.settings import ARMS, NULL, TIMED, arm_of

_T = TypeVar("_T")

_OURS = f"{__name__.partition('.')[0]}."

_GRACE = 1.0
"""Seconds that are waited, when one loop has failed, for the loop after to do the same."""

_ORDER = "0"
"""What Python orders sets by: processes of one loop would differ by what their orders do."""


class Residences:
    """Starts the processes of arms where they are asked to live; leaves nothing behind when it is left.

    Args:
        homes: where each arm is asked to live.
        factories: of each, as module:factory.
        links: paths that a revision has from the working tree: large data that git does not track.
        results: the folder that the run itself writes into, which no revision needs.
    """

    def __init__(
        self,
        homes: Mapping[str, Home],
        factories: Mapping[str, str],
        links: Sequence[str] = (),
        results: Path | None = None,
    ) -> None:
        self._homes, self._factories, self._links, self._results = homes, factories, links, results
        self._worktrees: Worktrees | None = None
        self._checkouts: dict[str, Checkout] = {}
        self._launches: dict[str, Launch] = {}
        self._makers: Sequence[str] = ()
        # By arm; one for both where their interpreters and variables are the same.
        self._zygotes: dict[str, Zygote] = {}
        self._processes: dict[str, ArmProcess] = {}
        self._begun: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        with self._stack as stack:  # what fails in the middle leaves nothing either
            for arm in ARMS:
                self._launches[arm] = self._launch(arm, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.end()
            self._end_zygotes()
        finally:
            self._stack.close()

    def end(self) -> None:
        """Ends the processes of timed loops."""
        while self._processes:
            _, process = self._processes.popitem()
            process.__exit__(None, None, None)

    def _end_zygotes(self) -> None:
        for zygote in {*self._zygotes.values()}:
            zygote.__exit__(None, None, None)
        self._zygotes = {}

    @property
    def notes(self) -> list[str]:
        """What a user must know of where the arms live, in words."""
        return [f"{arm}: {note}" for arm, checkout in self._checkouts.items() for note in checkout.notes]

    def launch(self, arm: str) -> Launch:
        """How processes of an arm are started."""
        return self._launches[arm]

    def begin(self, makers: Sequence[str]) -> None:
        """Starts a process for each timed loop, all at a time; each has imported what it needs.

        Those that there were are ended.

        Args:
            makers: what is to be made in them, each as module:name.

        Raises:
            UsageError: an interpreter will not do, or a factory cannot be loaded.
        """
        self._makers = makers
        self.end()
        if len({*self._zygotes.values()}) > 1:
            # What a process has by chance, such as where its libraries lie, all that are forked from it share. Arms
            # that share one have that alike; of others it must differ from group to group.
            self._end_zygotes()
        if not self._zygotes:
            self._start_zygotes()
        self._begun = self.together(self._start)

    def together(self, work: Callable[[str], _T]) -> dict[str, _T]:
        """Does some work for each timed loop, all at a time; what came of it, by name.

        Args:
            work: takes the name; it may wait for the loop's process, and all of these are ended when it fails.
        """
        threads = concurrent.futures.ThreadPoolExecutor(len(TIMED))
        started: dict[str, concurrent.futures.Future[_T]] = {}
        try:
            for name in TIMED:
                started[name] = threads.submit(work, name)
            concurrent.futures.wait(started.values(), return_when=concurrent.futures.FIRST_EXCEPTION)
            after = started[ARMS[1]]
            concurrent.futures.wait([after], _GRACE)
            if after.done():
                after.result()  # first: what is wrong there too, nobody should look for at another revision
            return {name: each.result() for name, each in started.items()}
        except BaseException:  # Ctrl-C as well: threads wait for processes, which may take long
            self._end_zygotes()
            while not all(each.done() for each in started.values()):  # one may just have started its process
                self.end()
                concurrent.futures.wait(started.values(), 0.05)
            self.end()
            raise
        finally:
            threads.shutdown()

    def process(self, name: str) -> ArmProcess:
        """The process of a timed loop."""
        return self._processes[name]

    @contextlib.contextmanager
    def another(self, arm: str) -> Iterator[ArmProcess]:
        """A process of an arm that is used for nothing else; it ends on leaving."""
        with ArmProcess(arm, self._launches[arm], self._zygotes[arm]) as process:
            process.begin(self._makers, self._factories[arm])
            yield process

    def forget_idle(self) -> None:
        """Counts from now on what processes do while nothing is asked of them."""
        for process in self._processes.values():
            process.forget_idle()

    def idle(self) -> dict[str, float]:
        """Processor time that each process has used while nothing was asked of it, as a share of that time."""
        return {
            name: max(0.0, process.idle_processor / process.idle)
            for name, process in self._processes.items()
            if process.idle > 0
        }

    def residence(self, arm: str) -> Residence:
        """Where an arm lives, and on what."""
        home, checkout, begun = self._homes[arm], self._checkouts.get(arm), self._begun[arm]
        commit, dirty = (checkout.commit, False) if checkout else state(self._launches[arm].folder)
        return Residence(
            revision=home.revision,
            commit=commit,
            dirty=dirty,
            python=begun["python"],
            interpreter=home.python,
            versions=begun["versions"],
            environment=home.environment,
            folder=home.folder,
            notes=checkout.notes if checkout else (),
        )

    def _launch(self, arm: str, stack: contextlib.ExitStack) -> Launch:
        home, here, moved = self._homes[arm], Path.cwd(), None
        python = interpreter(f"--{arm}-python", home.python) if home.python else sys.executable
        folder = here
        if home.revision is not None:
            if self._worktrees is None:
                self._worktrees = stack.enter_context(Worktrees(here, self._links, self._results))
            checkout = self._checkouts[arm] = self._worktrees.at(home.revision)
            moved = self._worktrees.root, checkout.folder
            folder = checkout.folder / here.resolve().relative_to(self._worktrees.root.resolve())
        wanted = Path(home.folder or "")
        if moved and wanted.is_absolute() and wanted.resolve().is_relative_to(moved[0].resolve()):
            wanted = moved[1] / wanted.resolve().relative_to(moved[0].resolve())
        folder = folder / wanted
        if not folder.is_dir():
            named = f"--{arm}-folder {home.folder!r}" if home.folder else f"{arm}, current folder {here.name}"
            raise UsageError(f"{named}: there is no such folder{f' at {home.revision}' if home.revision else ''}")
        order = {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", _ORDER)}
        return launch(folder, python, {**order, **pool.LOOP_VARIABLES, **home.environment}, moved)

    def _start_zygotes(self) -> None:
        modules = list(dict.fromkeys(maker.partition(":")[0] for maker in self._makers))
        begun: dict[tuple[object, ...], Zygote] = {}
        for arm in ARMS:
            shared = self._shared(self._launches[arm])
            place = shared.python, *sorted(shared.environment.items())
            if place not in begun:
                begun[place] = Zygote(arm, shared, modules).__enter__()
            self._zygotes[arm] = begun[place]

    def _shared(self, launch: Launch) -> Launch:
        """What arms at two revisions have alike: all but what lies in a working tree unasked."""
        trees = [self._worktrees.root.resolve()] if self._worktrees else []
        trees += [checkout.folder.resolve() for checkout in self._checkouts.values()]
        asked, own = launch.paths[: launch.asked], launch.paths[launch.asked :]
        paths = [*asked, *(path for path in own if not any(Path(path).resolve().is_relative_to(t) for t in trees))]
        environment = {**launch.environment, "PYTHONPATH": os.pathsep.join(paths)}
        return dataclasses.replace(launch, folder=Path.cwd(), environment=environment, paths=tuple(paths))

    def _start(self, name: str) -> dict[str, Any]:
        arm = arm_of(name)
        shown = "the null arm" if name == NULL else name
        process = ArmProcess(shown, self._launches[arm], self._zygotes[arm])
        self._processes[name] = process.__enter__()
        checkout = self._checkouts.get(arm)
        try:
            found = process.begin(self._makers, self._factories[arm])
        except NotLoadedError as error:
            if checkout is None:
                raise
            advice = f"if it has another name at {checkout.revision}: --{arm} module:factory"
            raise UsageError(f"{error}; {advice}") from error
        if checkout and found["module"]:
            file = Path(found["module"]).resolve()
            if not file.is_relative_to(checkout.folder.resolve()):
                if self._factories[arm].startswith(_OURS):
                    raise UsageError(
                        f"{arm}: {self._factories[arm]} comes with loop-bench, and is not in {checkout.revision}; "
                        "--after MODULE:FACTORY says which is meant"
                    )
                raise UsageError(
                    f"{arm}: {self._factories[arm]} is imported from {file}, and not from {checkout.revision}: what is "
                    "installed there comes first; have it found by its folder (PYTHONPATH), and not installed"
                )
        return found
