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
"""Variable with the chief's HOST:PORT for its workers, needed where the default port is in use."""

_OFFSET = 1000
"""Offset of the control port from the port of the chief's TensorFlow; subtracted near the end of the range."""

_LARGEST_PORT = 65535


@dataclasses.dataclass(frozen=True)
class Task:
    """One of several processes that train together.

    Attributes:
        index: its number; 0 for the chief.
        addresses: HOST:PORT of each process's TensorFlow, the chief's first.
        control: HOST:PORT at which the workers connect to the chief.
    """

    index: int
    addresses: tuple[str, ...]
    control: tuple[str, int]

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief, which measures."""
        return self.index == 0

    @property
    def title(self) -> str:
        """The process's name in messages."""
        return named(self.index, self.addresses)


def named(index: int, addresses: tuple[str, ...]) -> str:
    """A process's name in messages, such as `worker 1 (10.0.0.2:2222)`."""
    return f"{'worker ' if index else 'the chief'}{index or ''} ({addresses[index]})"


def task(variables: Mapping[str, str] = os.environ) -> Task | None:
    """The task of this process; None if it trains alone.

    Args:
        variables: of the environment. TF_CONFIG is JSON with `cluster`, addresses by job, and `task`, the job and
            index of this process: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG.

    Raises:
        UsageError: TF_CONFIG is malformed, or describes a cluster that cannot be measured.
    """
    text = variables.get(VARIABLE, "")
    return _task(text, variables.get(CONTROL, "")) if text else None


@functools.lru_cache
def _task(text: str, control: str) -> Task | None:
    """Cached, because it is called at every fence around a timed block."""
    try:
        fields: dict[str, Any] = json.loads(text)
        cluster, own = dict(fields.get("cluster", {})), dict(fields.get("task", {}))
        jobs = {str(job): tuple(map(str, addresses)) for job, addresses in cluster.items()}
        index = int(own.get("index", 0))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise UsageError(f"{VARIABLE} {text!r}: is malformed, see TensorFlow's guide to distributed training") from None
    kind = str(own.get("type", "worker"))
    jobs.pop("evaluator", None)  # it takes no part in training
    if kind == "evaluator" or sum(map(len, jobs.values())) < 2:
        return None
    if others := [job for job in jobs if job not in ("chief", "worker")]:
        raise UsageError(f"{VARIABLE}: has the job {', '.join(others)}; only chief and worker train synchronously")
    if kind not in jobs or not 0 <= index < len(jobs[kind]):
        raise UsageError(f"{VARIABLE}: its task {kind} {index} is not in its cluster")
    chiefs = jobs.get("chief", ())
    addresses = (*chiefs, *jobs.get("worker", ()))
    return Task(index + (len(chiefs) if kind == "worker" else 0), addresses, _control(addresses, control))


def _control(addresses: tuple[str, ...], given: str) -> tuple[str, int]:
    host, _, port = (given or addresses[0]).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _LARGEST_PORT:
        raise UsageError(f"{CONTROL if given else VARIABLE} {given or addresses[0]!r}: must be HOST:PORT")
    number = int(port)
    if not given:
        number += _OFFSET if number + _OFFSET <= _LARGEST_PORT else -_OFFSET
    return host.strip("[]"), number  # brackets of an IPv6 address
