"""When two records can be compared in absolute ms/batch, and if not, what differs."""

from __future__ import annotations

from typing import Any

from bench.experiments.run.record import Record
from bench.settings import ARMS

MACHINE = {
    "gpus": "GPU",
    "gpu_driver": "GPU driver",
    "cuda_build": "CUDA",
    "cudnn_build": "cuDNN",
    "cpu": "CPU",
    "cores": "CPU cores",
}
"""What of the environment decides how long a batch takes, and is the machine's."""

SOFTWARE = {"tensorflow": "TensorFlow", "keras": "Keras"}
"""And what is installed on it. (Not NumPy: nothing of it runs in a batch whose length matters.)"""


def differences(one: Record, other: Record) -> list[str]:
    """What makes ms/batch of the two incomparable, each as `TensorFlow 2.21.0, there 2.20.0`; empty if nothing."""
    found = []
    for key, title in MACHINE.items():
        found += _differ(title, one.environment.get(key), other.environment.get(key))
    here, there = one.environment.get("versions", {}), other.environment.get("versions", {})
    for key, title in SOFTWARE.items():
        found += _differ(title, here.get(key), there.get(key))
    found += _differ("Python", *(_minor(record.environment.get("python")) for record in (one, other)))
    return found + settings(one, other)


def settings(one: Record, other: Record) -> list[str]:
    """What of the settings makes them different work, each in words."""
    found = []
    for key, title in {"preset": "preset", "batches": "batches in a block", "options": "options"}.items():
        found += _differ(title, getattr(one.settings, key), getattr(other.settings, key))
    return found


def same_machine(one: Record, other: Record) -> bool:
    """Whether both were made on machines that look alike."""
    return all(one.environment.get(key) == other.environment.get(key) for key in MACHINE)


def arms(record: Record, reference: Record) -> list[str]:
    """Arms whose loop is another one than in the reference, each in words."""
    return [
        f"{arm} is {record.arms[arm].factory}, there {reference.arms[arm].factory}"
        for arm in ARMS
        if record.arms[arm].factory != reference.arms[arm].factory
    ]


def _differ(title: str, here: Any, there: Any) -> list[str]:
    return [] if here == there else [f"{title} {_say(here)}, there {_say(there)}"]


def _say(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_say, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items()) or "none"
    return "unknown" if value is None else str(value)


def _minor(python: Any) -> str | None:
    return None if python is None else ".".join(str(python).split(".")[:2])
