"""The environment in a record: machine and software, without which its numbers mean nothing later."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from loop_bench.machine import gpu, processor, revision
from loop_bench.machine.software import KERAS_2, builds, versions

TITLES = {"tensorflow": "TensorFlow", "keras": "Keras", KERAS_2: KERAS_2}
"""Packages that decide how a loop runs, and their titles; not NumPy, which takes no noticeable time in a batch."""


def environment() -> dict[str, Any]:
    """Machine, devices, versions and commit of this process, as plain values."""
    import tensorflow as tf  # here, so that code that only reads records need not wait for it

    cpu = processor.processor()
    commit, dirty = revision.state(Path.cwd())  # where the loops under test come from
    return {
        "cpu": cpu["name"],
        "processor": cpu,
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {**versions(), "pytest-benchmark": importlib.metadata.version("pytest-benchmark")},
        "gpus": [
            tf.config.experimental.get_device_details(device).get("device_name", device.name)
            for device in tf.config.list_physical_devices("GPU")
        ],
        "gpu_driver": gpu.driver(),
        **builds(),
        # It applies to the whole process, and decides how a GPU's memory is allocated.
        "gpu_allow_growth": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"),
        "commit": commit,
        "dirty": dirty,
    }


def state() -> dict[str, Any]:
    """Load and clock of the CPU, and the state of each GPU, at this moment; plain values."""
    try:
        frequency = psutil.cpu_freq()
    except OSError:  # some virtual machines have the file, but forbid reading it
        frequency = None
    return {
        "load_average": [round(load, 2) for load in os.getloadavg()],  # over 1, 5 and 15 minutes
        "cpu_mhz": round(frequency.current) if frequency else None,
        "gpus": gpu.states(),
    }


def machine(recorded: dict[str, Any]) -> str:
    """One line on the machine and its software, from the values of `environment`."""
    return f"{hardware(recorded)}; {software(recorded['versions'], recorded['python'])}"


def hardware(recorded: dict[str, Any]) -> str:
    """One line on the machine alone, from the values of `environment`."""
    kind = processor.words(recorded.get("processor", {}))  # older records have none
    cpu = f"{recorded['cores']} cores of {recorded['cpu']}{f' ({kind})' if kind else ''}"
    if not recorded["gpus"]:
        return cpu
    return f"{', '.join(recorded['gpus'])} (driver {recorded['gpu_driver']}), {cpu}"


def software(versions: Mapping[str, str], python: str) -> str:
    """One line on the versions that decide how a loop runs."""
    titled = {title: versions[name] for name, title in TITLES.items() if name in versions}
    return ", ".join(f"{title} {version}" for title, version in {**titled, "Python": python}.items())
