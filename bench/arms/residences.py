"""The homes of the arms during a run: their worktrees, and a process for each timed loop."""

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
"""Seconds to wait, when another loop has failed, for the loop after to fail as well."""

_ORDER = "0"
"""PYTHONHASHSEED of all processes: otherwise those of one loop would differ by the order of their sets."""


class Residences:
    """Starts the processes of arms in their homes; leaves nothing behind on leaving.

    Args:
        homes: requested home of each arm.
        factories: of each arm, as module:factory.
        links: untracked paths, such as large data, that a revision gets from the working tree.
        results: folder that the run writes into, which no revision needs.
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
        # By arm; both arms share one if their interpreters and variables are the same.
        self._zygotes: dict[str, Zygote] = {}
        self._processes: dict[str, ArmProcess] = {}
        self._begun: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        with self._stack as stack:  # a failure half-way also leaves nothing behind
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
        """Notes for the user on the homes of the arms, a sentence each."""
        return [f"{arm}: {note}" for arm, checkout in self._checkouts.items() for note in checkout.notes]

    def launch(self, arm: str) -> Launch:
        """The launch of an arm's processes."""
        return self._launches[arm]

    def begin(self, makers: Sequence[str]) -> None:
        """Starts a process for each timed loop, all at once; each imports what it needs.

        Earlier processes are ended.

        Args:
            makers: what will be created in the processes, each as module:name.

        Raises:
            UsageError: an interpreter is unsuitable, or a factory cannot be loaded.
        """
        self._makers = makers
        self.end()
        if len({*self._zygotes.values()}) > 1:
            # Processes forked from one zygote share its accidents, such as the addresses of its libraries. If the arms
            # share a zygote, its accidents affect both alike; otherwise they must vary from group to group.
            self._end_zygotes()
        if not self._zygotes:
            self._start_zygotes()
        self._begun = self.together(self._start)

    def together(self, work: Callable[[str], _T]) -> dict[str, _T]:
        """Does some work for every timed loop at once; returns the results by name.

        Args:
            work: takes the loop's name; it may wait for the loop's process. If it fails, all processes are ended.
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
                after.result()  # its error comes first: a fault in both arms is not the other revision's
            return {name: each.result() for name, each in started.items()}
        except BaseException:  # Ctrl-C as well: threads wait for processes, which may take long
            self._end_zygotes()
            while not all(each.done() for each in started.values()):  # a thread may just have started its process
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
        """Starts a process of an arm for one purpose, and ends it on leaving."""
        with ArmProcess(arm, self._launches[arm], self._zygotes[arm]) as process:
            process.begin(self._makers, self._factories[arm])
            yield process

    def forget_idle(self) -> None:
        """Restarts the count of processor time that the processes use between calls."""
        for process in self._processes.values():
            process.forget_idle()

    def idle(self) -> dict[str, float]:
        """Processor time that each process has used between calls, as a share of that time."""
        return {
            name: max(0.0, process.idle_processor / process.idle)
            for name, process in self._processes.items()
            if process.idle > 0
        }

    def residence(self, arm: str) -> Residence:
        """The home that an arm had: revision, interpreter, versions."""
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
        home, current, moved = self._homes[arm], Path.cwd(), None
        python = interpreter(f"--{arm}-python", home.python) if home.python else sys.executable
        folder = current
        if home.revision is not None:
            if self._worktrees is None:
                self._worktrees = stack.enter_context(Worktrees(current, self._links, self._results))
            checkout = self._checkouts[arm] = self._worktrees.at(home.revision)
            moved = self._worktrees.root, checkout.folder
            folder = checkout.folder / current.resolve().relative_to(self._worktrees.root.resolve())
        wanted = Path(home.folder or "")
        if moved and wanted.is_absolute() and wanted.resolve().is_relative_to(moved[0].resolve()):
            wanted = moved[1] / wanted.resolve().relative_to(moved[0].resolve())
        folder = folder / wanted
        if not folder.is_dir():
            named = f"--{arm}-folder {home.folder!r}" if home.folder else f"{arm}, current folder {current.name}"
            raise UsageError(f"{named}: there is no such folder{f' at {home.revision}' if home.revision else ''}")
        order = {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", _ORDER)}
        return launch(folder, python, {**order, **pool.LOOP_VARIABLES, **home.environment}, moved)

    def _start_zygotes(self) -> None:
        modules = list(dict.fromkeys(maker.partition(":")[0] for maker in self._makers))
        zygotes: dict[tuple[object, ...], Zygote] = {}
        for arm in ARMS:
            shared = self._shared(self._launches[arm])
            key = shared.python, *sorted(shared.environment.items())
            if key not in zygotes:
                zygotes[key] = Zygote(arm, shared, modules).__enter__()
            self._zygotes[arm] = zygotes[key]

    def _shared(self, launch: Launch) -> Launch:
        """The launch of a zygote that two revisions can share: without default paths in their working trees."""
        trees = [self._worktrees.root.resolve()] if self._worktrees else []
        trees += [checkout.folder.resolve() for checkout in self._checkouts.values()]
        asked, own = launch.paths[: launch.asked], launch.paths[launch.asked :]
        paths = [*asked, *(path for path in own if not any(Path(path).resolve().is_relative_to(t) for t in trees))]
        environment = {**launch.environment, "PYTHONPATH": os.pathsep.join(paths)}
        return dataclasses.replace(launch, folder=Path.cwd(), environment=environment, paths=tuple(paths))

    def _start(self, name: str) -> dict[str, Any]:
        arm = arm_of(name)
        title = "the null arm" if name == NULL else name
        process = ArmProcess(title, self._launches[arm], self._zygotes[arm])
        self._processes[name] = process.__enter__()
        checkout = self._checkouts.get(arm)
        try:
            imported = process.begin(self._makers, self._factories[arm])
        except NotLoadedError as error:
            if checkout is None:
                raise
            advice = f"if it has another name at {checkout.revision}: --{arm} module:factory"
            raise UsageError(f"{error}; {advice}") from error
        if checkout and imported["module"]:
            file = Path(imported["module"]).resolve()
            if not file.is_relative_to(checkout.folder.resolve()):
                if self._factories[arm].startswith(_OURS):
                    raise UsageError(
                        f"{arm}: {self._factories[arm]} is part of loop-bench, and not in {checkout.revision}; name "
                        "the loop to compare with --after MODULE:FACTORY"
                    )
                raise UsageError(
                    f"{arm}: {self._factories[arm]} is imported from {file}, and not from {checkout.revision}: an "
                    "installed package comes first; uninstall it, and put its folder on PYTHONPATH"
                )
        return imported
