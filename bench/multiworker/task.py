"""Which of several machines this process is: TF_CONFIG, as tf.distribute's MultiWorkerMirroredStrategy reads it."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from typing import Any

from loop_bench.errors import UsageError

VARIABLE = "TF_CONFIG"

CONTROL = "LOOP_BENCH_CONTROL"
"""The variable that says where the chief is to be met, as HOST:PORT, where the usual port is taken."""

_FARTHER = 1000
"""By how much the port at which the workers meet the chief lies above that of its TensorFlow, or below at the end."""

_MOST = 65535


@dataclasses.dataclass(frozen=True)
class Task:
    """A process of several that train together.

    Attributes:
        index: its number; that of the chief is 0.
        addresses: HOST:PORT of the TensorFlow of each, the chief's first.
        control: HOST:PORT at which the workers meet the chief.
    """

    index: int
    addresses: tuple[str, ...]
    control: tuple[str, int]

    @property
    def is_chief(self) -> bool:
        """Whether it is the one that measures."""
        return self.index == 0

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return named(self.index, self.addresses)


def named(index: int, addresses: tuple[str, ...]) -> str:
    """What the process of a number is called in messages: `worker 1 (10.0.0.2:2222)`."""
    return f"{'worker ' if index else 'the chief'}{index or ''} ({addresses[index]})"


def task(variables: Mapping[str, str] = os.environ) -> Task | None:
    """The task of this process; None where it trains by itself.

    Args:
        variables: of the environment. TF_CONFIG is JSON with `cluster`, addresses by job, and `task`, the job and
            index of this process: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG.

    Raises:
        UsageError: TF_CONFIG is of another form, or of a cluster that cannot be measured.
    """
    text = variables.get(VARIABLE, "")
    return _task(text, variables.get(CONTROL, "")) if text else None


@functools.lru_cache
def _task(text: str, control: str) -> Task | None:
    """Kept, for it is asked at every fence around a block that is timed."""
    try:
        said: dict[str, Any] = json.loads(text)
        cluster, own = dict(said.get("cluster", {})), dict(said.get("task", {}))
        jobs = {str(job): tuple(map(str, addresses)) for job, addresses in cluster.items()}
        index = int(own.get("index", 0))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise UsageError(f"{VARIABLE} {text!r}: is not as TensorFlow's guide to distributed training has it") from None
    kind = str(own.get("type", "worker"))
    jobs.pop("evaluator", None)  # it trains with nobody
    if kind == "evaluator" or sum(map(len, jobs.values())) < 2:
        return None
    if others := [job for job in jobs if job not in ("chief", "worker")]:
        raise UsageError(f"{VARIABLE}: has the job {', '.join(others)}; only chief and worker train in steps together")
    if kind not in jobs or not 0 <= index < len(jobs[kind]):
        raise UsageError(f"{VARIABLE}: its task {kind} {index} is not in its cluster")
    chiefs = jobs.get("chief", ())
    addresses = (*chiefs, *jobs.get("worker", ()))
    return Task(index + (len(chiefs) if kind == "worker" else 0), addresses, _control(addresses, control))


def _control(addresses: tuple[str, ...], given: str) -> tuple[str, int]:
    host, _, port = (given or addresses[0]).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _MOST:
        raise UsageError(f"{CONTROL if given else VARIABLE} {given or addresses[0]!r}: must be HOST:PORT")
    number = int(port)
    if not given:
        number += _FARTHER if number + _FARTHER <= _MOST else -_FARTHER
    return host.strip("[]"), number  # brackets of an IPv6 address
