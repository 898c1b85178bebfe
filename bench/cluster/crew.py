"""The workers of a scheduler: each is examined once, and marked as one that may run trials if it keeps their terms."""

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
    differs: str = ""  # a line: why no trial of these may run there, and what would have to be done
    lacks: str = ""  # a line: why none runs there for now
    accepted: bool = False
    is_told_of: bool = False  # that it differs

    @property
    def name(self) -> str:
        host = self.seen.examined.machine.host if self.seen and self.seen.examined else ""
        return f"worker {self.address}{f' on {host}' if host else ''}"


class Crew:
    """The workers that may run some trials.

    Args:
        client: Dask's.
        scheduler: its address, for messages.
        name: of the class of the trials, as `module:class`.
        terms: that workers must keep.
        is_timed: whether the trials need a machine to themselves, all of one kind.
        kind: that machines must be of; None: what most of those have that can be had first.
        told: is called, in some thread, when something is known of a worker that was not before.

    Attributes:
        kind: that machines must be of; None while it is not known, and where trials are not timed.
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
        self._client, self._scheduler, self._name, self._terms, self._told = client, scheduler, name, terms, told
        self._is_timed = is_timed
        self._workers: dict[str, _Worker] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(8, "loop-bench-examination")
        self._examinations: dict[str, concurrent.futures.Future[Any]] = {}
        self._waited_for = self._said = ""
        self._has_had_one = False  # that could run these trials

    def close(self) -> None:
        """Waits for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def size(self) -> int:
        """Trials at a time: one a worker."""
        return sum(each.accepted and not each.lacks for each in self._workers.values())

    @property
    def mark(self) -> str:
        """The resource that workers have that keep the terms."""
        return f"loop-bench-{self._terms.digest(self._name, self.kind)}"

    @property
    def needs(self) -> dict[str, float]:
        """Resources that a trial needs."""
        return {self.mark: 1, **({MACHINE: 1} if self._is_timed else {}), **({GPU: 1} if self._has_gpus else {})}

    @property
    def digest(self) -> str:
        """Digest of the terms, as a worker knows them."""
        return self._terms.digest()

    def look_around(self) -> None:
        """Has workers examined that are new, forgets those that are gone, and accepts those that can be.

        Raises:
            UsageError: none of the workers keeps the terms; it says what differs at the first one.
            OSError: the scheduler does not answer.
        """
        there = {*self._client.nthreads()}
        for address in self._workers.keys() - there:
            del self._workers[address]
            self._examinations.pop(address, None)
        for address in sorted(there - self._workers.keys()):
            self._workers[address] = _Worker(address)
            examination = self._pool.submit(self._examine, address)
            examination.add_done_callback(lambda _: self._told())
            self._examinations[address] = examination
        for address, examination in [*self._examinations.items()]:
            if examination.done():
                self._note(self._workers[address], examination)
                del self._examinations[address]
        self._accept()
        self._tell_of_others()
        self._complain()

    def _examine(self, address: str) -> Any:
        trial = Examination(factories=self._terms.factories, scripts=self._terms.scripts)
        return self._client.run(
            on_worker.look, self._name, trial.model_dump_json(), self.digest, workers=[address], on_error="return"
        )[address]

    def _note(self, worker: _Worker, examination: concurrent.futures.Future[Any]) -> None:
        """Takes down what was found out about a worker."""
        try:
            answer = examination.result()
            worker.seen = Seen.model_validate_json(answer) if isinstance(answer, str) else None
        except Exception as error:  # whatever it is, the worker is of no use
            answer = error
        worker.differs = self._difference(worker, answer)

    def _difference(self, worker: _Worker, answer: Any) -> str:
        if "ModuleNotFoundError" in repr(answer) and f"'{OWN}" in str(answer):  # Dask may have made it another class
            return (
                f"{worker.name}: loop-bench is not installed there; "
                "pip install 'loop-bench[compare,cluster]' of the same version in its environment, and start it anew"
            )
        if worker.seen is None:
            said = " ".join(str(answer).split())
            return f"{worker.name}: cannot be examined ({type(answer).__name__}: {said}); has it another loop-bench?"
        if worker.seen.examined is None:
            return f"{worker.name}: no trial can run there: {worker.seen.why}"
        differing = self._terms.differences(worker.seen.examined.terms)
        if differing:
            return (
                f"{worker.name}: is not used, for what it has differs: {', '.join(differing)}; have the same commit or "
                "wheel and the same packages there (or a shared file system), and start it in the folder of the loops"
            )
        if worker.seen.begun_with != self._terms.code[OWN]:
            return f"{worker.name}: is not used, for loop-bench has changed there since it was started; start it anew"
        return ""

    @property
    def _usable(self) -> list[_Worker]:
        return [each for each in self._workers.values() if each.seen and not each.differs]

    @property
    def _has_gpus(self) -> bool:
        return any(_gpus(each) and each.seen and each.seen.resources.get(GPU) for each in self._usable)

    def _accept(self) -> None:
        """Marks the workers that can run these trials."""
        if self._examinations and not self.size:
            return  # the first ones are looked at together
        if self._is_timed and self.kind is None:
            self._choose_kind([each for each in self._usable if not self._lack(each)])
        for worker in self._usable:
            worker.lacks = self._lack(worker) or self._wrong_kind(worker)
            if not worker.lacks and not worker.accepted:
                self._client.run(on_worker.accept, self.mark, workers=[worker.address])
                worker.accepted = self._has_had_one = True

    def _lack(self, worker: _Worker) -> str:
        assert worker.seen
        declared = worker.seen.resources
        if self._is_timed and not declared.get(MACHINE):
            return f"declares no {MACHINE}, which trials that are timed need"
        if _gpus(worker) and not declared.get(GPU):
            return f"sees a GPU and declares none: start it with {GPU}=1 and a GPU of its own in CUDA_VISIBLE_DEVICES"
        if not _gpus(worker) and self._has_gpus:
            return "has no GPU, and others have"
        twins = [each for each in self._usable if each.accepted and each is not worker and _gpus(each)]
        if _gpus(worker) and _device(worker) in map(_device, twins):
            return "has the same GPU as another worker of its host: give each one of its own in CUDA_VISIBLE_DEVICES"
        return ""

    def _choose_kind(self, able: list[_Worker]) -> None:
        """Takes the kind that most machines are of, and says which ones are not used."""
        kinds = collections.Counter(_kind(each) for each in able)
        if not kinds:
            return
        self.kind = min(kinds, key=lambda kind: (-kinds[kind], kind))
        if others := sorted({*kinds} - {self.kind}):
            LOG.warning("times are taken on one kind of machine: %s; not on %s", self.kind, "; ".join(others))

    def _wrong_kind(self, worker: _Worker) -> str:
        return f"is another kind of machine than {self.kind}" if self.kind and _kind(worker) != self.kind else ""

    def _tell_of_others(self) -> None:
        """Says which workers differ, each once; but for one that is to be the error."""
        if self._examinations and not self.size:
            return
        differing = [each for each in self._workers.values() if each.differs]
        is_error = len(differing) == len(self._workers)
        for worker in differing[1:] if is_error else differing:
            if not worker.is_told_of:
                LOG.warning("%s", worker.differs)
            worker.is_told_of = True

    def _complain(self) -> None:
        """Says what is waited for, once, while no worker can run a trial.

        Raises:
            UsageError: all workers that are there would have to be set up anew, and none has been otherwise.
        """
        if self.size or self._examinations:
            self._waited_for = self._said = ""
            return
        start = f"dask worker {self._scheduler} --nthreads 1 --resources '{MACHINE}=1{f' {GPU}=1' * self._has_gpus}'"
        if not self._workers:
            said = f"no worker is connected to {self._scheduler}; waiting for one: {start}"
        elif all(each.differs for each in self._workers.values()) and not self._has_had_one:
            first, more = next(iter(self._workers.values())).differs, len(self._workers) - 1
            raise UsageError(first + (f" (nor can {more} other{'s' * (more > 1)} be used)" if more else ""))
        else:
            lacks = "; ".join(each.differs or f"{each.name} {each.lacks}" for each in self._workers.values())
            said = f"no worker of {self._scheduler} can run these trials: {lacks}; waiting for one: {start}"
        if said == self._waited_for and said != self._said:  # twice in a row: it is not just about to come
            LOG.warning("%s", said)
            self._said = said
        self._waited_for = said


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
