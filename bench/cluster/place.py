"""Running trials on a cluster: Dask distributes and retries them; results are written by this process."""

from __future__ import annotations

import contextlib
import logging
import queue
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from loop_bench.cluster import worker as on_worker
from loop_bench.cluster.address import Address
from loop_bench.cluster.crew import Crew
from loop_bench.cluster.local import local_cluster
from loop_bench.cluster.log import LOG
from loop_bench.cluster.terms import Terms, software
from loop_bench.errors import UsageError
from loop_bench.failure import error_line
from loop_bench.jobs.folder import LockedFolder
from loop_bench.jobs.gather import Done, OtherMachines
from loop_bench.jobs.machines import Machine
from loop_bench.jobs.trial import Trial, result_class
from loop_bench.writing import write_whole

CONNECTS = 10.0
"""Seconds allowed for a client to connect to the scheduler."""

RETURNS = 300.0
"""Seconds to wait for a lost scheduler to come back, restarted by its supervisor or with its machine."""

LOOKS = 1.0
"""Seconds between two checks of which workers are connected."""


class _LostError(Exception):
    """The scheduler is gone, or has forgotten a trial."""


class _Submitted(NamedTuple):
    trial: Trial[Any]
    future: Any
    since: float


class OnCluster(OtherMachines):
    """Runs trials on the workers of a Dask cluster; a `Run`.

    A result is written when it comes back, whole or not at all. Trials in progress stay with the scheduler when this
    process is interrupted: the same trial of the same code is picked up by its key.

    Args:
        connect: makes a Dask client within CONNECTS seconds.
        name: of the cluster, used in messages: the scheduler's address.
        outlives: whether the cluster keeps running after the command.
    """

    def __init__(self, connect: Callable[[], Any], name: str, outlives: bool = True) -> None:
        self._connect, self._name, self._outlives = connect, name, outlives
        self._client: Any = None
        self._kind: str | None = None  # of machine, for timed trials
        self._terms: Terms | None = None  # of all trials, also finished ones, so that the same command gets the same

    def __enter__(self) -> OnCluster:
        try:
            self._client = self._connect()
        except Exception as error:
            raise UsageError(f"--on {self._name}: no Dask scheduler answers there ({error_line(error)})") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._disconnect()

    def conditions(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        """See OtherMachines."""
        return {"software": software(environment)}

    def begin(self, environment: Mapping[str, Any], known: Machine | None, trials: Sequence[Any]) -> None:
        """See OtherMachines."""
        self._terms = Terms.of(trials, environment)
        self._kind = self._kind or (known.kind if known else None)

    def __call__(self, trials: Sequence[Trial[Any]], folder: LockedFolder, workers: int, done: Done) -> None:
        """Runs trials of one class; `workers` is ignored, because a cluster has its own.

        Raises:
            UsageError: a trial is invalid, no connected worker matches the terms, or the scheduler is lost and does
                not come back.
        """
        left = {trial.key: trial for trial in trials}
        while left:
            try:
                self._run(left, folder, done)
            except (_LostError, OSError) as error:
                self._reconnect(error)
            except KeyboardInterrupt:
                if self._outlives:
                    LOG.warning("trials in progress continue on their workers; run the same command to collect them")
                raise

    def _run(self, left: dict[str, Trial[Any]], folder: LockedFolder, done: Done) -> None:
        """Runs the trials in `left`, and removes those that are done."""
        first = next(iter(left.values()))
        kind, name = type(first), f"{type(first).__module__}:{type(first).__qualname__}"
        events: queue.SimpleQueue[_Submitted | None] = queue.SimpleQueue()
        assert self._terms is not None, "begin() comes first"
        pinned = self._kind if kind.is_timed else None
        crew = Crew(self._client, self._name, name, self._terms, kind.is_timed, pinned, lambda: events.put(None))
        running: dict[str, _Submitted] = {}
        looked = 0.0
        with contextlib.closing(crew):
            while left:
                if time.monotonic() - looked > LOOKS:
                    crew.look_around()
                    self._kind = crew.kind if kind.is_timed else self._kind
                    looked = time.monotonic()
                for key in [key for key in left if key not in running][: max(0, crew.size - len(running))]:
                    running[key] = self._submit(left[key], name, crew, events)
                with contextlib.suppress(queue.Empty):
                    ended = events.get(timeout=LOOKS)
                    if ended is None:
                        looked = 0.0  # an examination has ended
                    elif running.get(ended.trial.key) is ended:
                        write_whole(folder.result(ended.trial.key), self._result(ended))
                        del running[ended.trial.key]
                        done(left.pop(ended.trial.key))

    def _submit(self, trial: Trial[Any], name: str, crew: Crew, events: queue.SimpleQueue[Any]) -> _Submitted:
        # The key has the crew's mark, because the scheduler remembers a task's required resource with its key: a new
        # worker would never get a task that needs an outdated mark.
        key = f"{type(trial).__name__}-{trial.key}-{crew.mark}-{trial.time_limit:g}"
        future = self._client.submit(
            on_worker.run_trial, name, trial.model_dump_json(), crew.digest, key=key, resources=crew.needs
        )
        if self._outlives:  # otherwise the scheduler forgets a task without a client
            self._client.publish_dataset(future, name=key, override=True)
        submitted = _Submitted(trial, future, time.monotonic())
        future.add_done_callback(lambda _: events.put(submitted))
        return submitted

    def _result(self, ended: _Submitted) -> str:
        """The text of a trial's result.

        Raises:
            UsageError: the trial is invalid, or its worker cannot run it.
            _LostError: the scheduler no longer has the trial.
        """
        from distributed.scheduler import KilledWorker

        trial, future = ended.trial, ended.future
        if future.status == "finished":
            text = str(future.result(timeout=CONNECTS))
        elif future.status == "error":
            error = future.exception(timeout=CONNECTS)
            if isinstance(error, KilledWorker):
                text = _killed(trial, error, time.monotonic() - ended.since)
            else:
                self._forget(future.key)
                message = str(error) if isinstance(error, UsageError) else error_line(error)
                raise UsageError(f"{trial.title}, on {self._name}: {message}")
        else:
            raise _LostError(f"{trial.title} was {future.status}")
        self._forget(future.key)
        return text

    def _forget(self, key: str) -> None:
        if self._outlives:
            self._client.unpublish_dataset(key)

    def _disconnect(self) -> None:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.close(timeout=CONNECTS)

    def _reconnect(self, why: Exception) -> None:
        """Waits for the scheduler to come back.

        Raises:
            UsageError: it does not come back in time.
        """
        LOG.warning("scheduler %s is lost (%s); reconnecting for up to %g s", self._name, error_line(why), RETURNS)
        self._disconnect()
        until = time.monotonic() + RETURNS
        while True:
            try:
                self._client = self._connect()
                break
            except Exception:
                if time.monotonic() > until:
                    raise UsageError(
                        f"scheduler {self._name} is lost, and did not come back within {RETURNS:g} s; run the same "
                        "command again to resume"
                    ) from None
                time.sleep(LOOKS)
        LOG.warning("scheduler %s is back", self._name)


def _killed(trial: Trial[Any], error: Any, seconds: float) -> str:
    """The result of a trial that has killed every worker that ran it."""
    workers = error.allowed_failures + 1
    why = f"{workers} workers died while running it, the last one {error.last_worker}"
    result = result_class(trial)(ended="crashed", why=why, seconds=seconds, time_limit=trial.time_limit)
    return result.model_dump_json() + "\n"


@contextlib.contextmanager
def place(on: str) -> Iterator[OnCluster]:
    """Opens the cluster that `--on` names, and closes it on leaving.

    Args:
        on: the address, as `Address.parse` takes it.

    Raises:
        UsageError: no scheduler answers there.
    """
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # lost peers are reported by this module
    address = Address.parse(on)
    with contextlib.ExitStack() as stack:
        name = address.text
        if address.workers:
            name = stack.enter_context(local_cluster(address.workers)).scheduler_address

        def connect() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VersionMismatchWarning)  # the crew reports what differs
                return Client(name, timeout=CONNECTS, set_as_default=False, name="loop-bench")

        yield stack.enter_context(OnCluster(connect, name, outlives=not address.workers))
