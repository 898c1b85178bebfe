"""The workers of a scheduler: each is examined once, and marked as able to run trials if it matches their terms."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable
from typing import Any

from loop_bench.cluster import worker as on_worker
from loop_bench.cluster.examination import Examination
from loop_bench.cluster.local import GPU, MACHINE
from loop_bench.cluster.log import LOG
from loop_bench.cluster.terms import OWN, Terms
from loop_bench.cluster.worker import Seen
from loop_bench.errors import UsageError


@dataclasses.dataclass
class _Worker:
    address: str
    seen: Seen | None = None  # None: not examined yet
    differs: str = ""  # one line: why it can run no trial of this class, and how to set it up
    lacks: str = ""  # one line: why it can run no trial for now
    accepted: bool = False
    is_reported: bool = False  # whether the user was told that it differs

    @property
    def name(self) -> str:
        host = self.seen.examined.machine.host if self.seen and self.seen.examined else ""
        return f"worker {self.address}{f' on {host}' if host else ''}"


class Crew:
    """The workers of a cluster that may run the trials of one class.

    Args:
        client: a Dask client.
        scheduler: its address, used in messages.
        name: class of the trials, as `module:class`.
        terms: code and versions that workers must have.
        is_timed: whether each trial needs a machine to itself, and all machines must be of one kind.
        kind: required kind of machine; None: the most frequent kind of those that can run trials first.
        told: called, in any thread, when an examination has ended.

    Attributes:
        kind: required kind of machine; None while it is not determined, and where trials are not timed.
    """

    def __init__(
        self,
        client: Any,
        scheduler: str,
        name: str,
        terms: Terms,
        is_timed: bool,
        kind: str | None,
        told: Callable[[], None],
    ) -> None:
        self.kind = kind
        self._client, self._scheduler, self._name, self._terms, self._on_examined = client, scheduler, name, terms, told
        self._is_timed = is_timed
        self._workers: dict[str, _Worker] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(8, "loop-bench-examination")
        self._examinations: dict[str, concurrent.futures.Future[Any]] = {}
        self._waited_for = self._warned = ""
        self._has_accepted = False  # whether any worker was ever accepted

    def close(self) -> None:
        """Cancels examinations that have not begun, without waiting for the others."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def size(self) -> int:
        """Number of trials that can run at once: one per accepted worker."""
        return sum(worker.accepted and not worker.lacks for worker in self._workers.values())

    @property
    def mark(self) -> str:
        """Name of the resource that marks accepted workers."""
        return f"loop-bench-{self._terms.digest(self._name, self.kind)}"

    @property
    def needs(self) -> dict[str, float]:
        """Resources that a trial needs."""
        return {self.mark: 1, **({MACHINE: 1} if self._is_timed else {}), **({GPU: 1} if self._has_gpus else {})}

    @property
    def digest(self) -> str:
        """Digest of the terms, by which a worker knows them."""
        return self._terms.digest()

    def look_around(self) -> None:
        """Examines new workers, forgets those that are gone, and accepts those that can run trials.

        Raises:
            UsageError: no worker matches the terms; the message says what differs on the first one.
            OSError: the scheduler does not answer.
        """
        connected = {*self._client.nthreads()}
        for address in self._workers.keys() - connected:
            del self._workers[address]
            self._examinations.pop(address, None)
        for address in sorted(connected - self._workers.keys()):
            self._workers[address] = _Worker(address)
            examination = self._pool.submit(self._examine, address)
            examination.add_done_callback(lambda _: self._on_examined())
            self._examinations[address] = examination
        for address, examination in [*self._examinations.items()]:
            if examination.done():
                self._record(self._workers[address], examination)
                del self._examinations[address]
        self._accept()
        self._report_differing()
        self._report_waiting()

    def _examine(self, address: str) -> Any:
        trial = Examination(factories=self._terms.factories, scripts=self._terms.scripts)
        return self._client.run(
            on_worker.look, self._name, trial.model_dump_json(), self.digest, workers=[address], on_error="return"
        )[address]

    def _record(self, worker: _Worker, examination: concurrent.futures.Future[Any]) -> None:
        """Records the result of a worker's examination."""
        try:
            answer = examination.result()
            worker.seen = Seen.model_validate_json(answer) if isinstance(answer, str) else None
        except Exception as error:  # whatever the error, the worker cannot be used
            answer = error
        worker.differs = self._difference(worker, answer)

    def _difference(self, worker: _Worker, answer: Any) -> str:
        if "ModuleNotFoundError" in repr(answer) and f"'{OWN}" in str(answer):  # Dask may have made it another class
            return (
                f"{worker.name}: loop-bench is not installed there; "
                "pip install 'loop-bench[compare,cluster]' of the same version in its environment, and restart it"
            )
        if worker.seen is None:
            message = " ".join(str(answer).split())
            return f"{worker.name}: cannot be examined ({type(answer).__name__}: {message}); has it another loop-bench?"
        if worker.seen.examined is None:
            return f"{worker.name}: no trial can run there: {worker.seen.why}"
        differing = self._terms.differences(worker.seen.examined.terms)
        if differing:
            return (
                f"{worker.name}: is not used, because it differs: {', '.join(differing)}; have the same commit or "
                "wheel and the same packages there (or a shared file system), and start it in the folder of the loops"
            )
        if worker.seen.begun_with != self._terms.code[OWN]:
            return f"{worker.name}: is not used, because loop-bench has changed there since it was started; restart it"
        return ""

    @property
    def _usable(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.seen and not worker.differs]

    @property
    def _has_gpus(self) -> bool:
        return any(_gpus(worker) and worker.seen and worker.seen.resources.get(GPU) for worker in self._usable)

    def _accept(self) -> None:
        """Marks the workers that can run these trials."""
        if self._examinations and not self.size:
            return  # accept the first workers together, to choose a kind from all of them
        if self._is_timed and self.kind is None:
            self._choose_kind([worker for worker in self._usable if not self._lack(worker)])
        for worker in self._usable:
            worker.lacks = self._lack(worker) or self._wrong_kind(worker)
            if not worker.lacks and not worker.accepted:
                self._client.run(on_worker.accept, self.mark, workers=[worker.address])
                worker.accepted = self._has_accepted = True

    def _lack(self, worker: _Worker) -> str:
        assert worker.seen
        declared = worker.seen.resources
        if self._is_timed and not declared.get(MACHINE):
            return f"declares no {MACHINE}, which timed trials need"
        if _gpus(worker) and not declared.get(GPU):
            return f"sees a GPU and declares none: start it with {GPU}=1 and a GPU of its own in CUDA_VISIBLE_DEVICES"
        if not _gpus(worker) and self._has_gpus:
            return "has no GPU, while others have one"
        twins = [other for other in self._usable if other.accepted and other is not worker and _gpus(other)]
        if _gpus(worker) and _device(worker) in map(_device, twins):
            return "has the same GPU as another worker of its host: give each one of its own in CUDA_VISIBLE_DEVICES"
        return ""

    def _choose_kind(self, able: list[_Worker]) -> None:
        """Chooses the most frequent kind of machine, and warns of the kinds that are not used."""
        kinds = collections.Counter(_kind(worker) for worker in able)
        if not kinds:
            return
        self.kind = min(kinds, key=lambda kind: (-kinds[kind], kind))
        if others := sorted({*kinds} - {self.kind}):
            LOG.warning("trials are timed on one kind of machine only: %s; not used: %s", self.kind, "; ".join(others))

    def _wrong_kind(self, worker: _Worker) -> str:
        return f"is another kind of machine than {self.kind}" if self.kind and _kind(worker) != self.kind else ""

    def _report_differing(self) -> None:
        """Warns of each differing worker once, except of one that becomes the error."""
        if self._examinations and not self.size:
            return
        differing = [worker for worker in self._workers.values() if worker.differs]
        is_error = len(differing) == len(self._workers)
        for worker in differing[1:] if is_error else differing:
            if not worker.is_reported:
                LOG.warning("%s", worker.differs)
            worker.is_reported = True

    def _report_waiting(self) -> None:
        """Says once what is awaited, while no worker can run a trial.

        Raises:
            UsageError: every connected worker must be set up anew, and none was ever accepted.
        """
        if self.size or self._examinations:
            self._waited_for = self._warned = ""
            return
        start = f"dask worker {self._scheduler} --nthreads 1 --resources '{MACHINE}=1{f' {GPU}=1' * self._has_gpus}'"
        if not self._workers:
            message = f"no worker is connected to {self._scheduler}; waiting for one: {start}"
        elif all(worker.differs for worker in self._workers.values()) and not self._has_accepted:
            first, more = next(iter(self._workers.values())).differs, len(self._workers) - 1
            raise UsageError(first + (f" (nor can {more} other{'s' * (more > 1)} be used)" if more else ""))
        else:
            lacks = "; ".join(worker.differs or f"{worker.name} {worker.lacks}" for worker in self._workers.values())
            message = f"no worker of {self._scheduler} can run these trials: {lacks}; waiting for one: {start}"
        # The second time in a row, no worker is just about to connect.
        if message == self._waited_for and message != self._warned:
            LOG.warning("%s", message)
            self._warned = message
        self._waited_for = message


def _kind(worker: _Worker) -> str:
    assert worker.seen
    assert worker.seen.examined
    return worker.seen.examined.machine.kind


def _gpus(worker: _Worker) -> bool:
    return bool(worker.seen and worker.seen.examined and worker.seen.examined.machine.environment["gpus"])


def _device(worker: _Worker) -> tuple[str, str | None]:
    assert worker.seen
    assert worker.seen.examined
    return worker.seen.examined.machine.host, worker.seen.examined.visible_gpus
