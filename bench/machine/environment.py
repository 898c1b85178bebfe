"""What a record says of the machine and the software, without which its numbers mean nothing later."""

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
"""Packages that decide how a loop runs. (Not NumPy: nothing of it runs in a batch whose length matters.)"""


def environment() -> dict[str, Any]:
    """Machine, devices, versions and commit, as plain values."""
    import tensorflow as tf  # here, so that what only reads records need not wait for it

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
        # Set for a whole process, and it decides how a GPU's memory is handed out.
        "gpu_allow_growth": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"),
        "commit": commit,
        "dirty": dirty,
    }


def state() -> dict[str, Any]:
    """Load and clocks of the CPU, and the state of each GPU, at this moment; plain values."""
    try:
        frequency = psutil.cpu_freq()
    except OSError:  # some virtual machines have the file and do not let it be read
        frequency = None
    return {
        "load_average": [round(load, 2) for load in os.getloadavg()],  # over 1, 5 and 15 minutes
        "cpu_mhz": round(frequency.current) if frequency else None,
        "gpus": gpu.states(),
    }


def machine(recorded: dict[str, Any]) -> str:
    """One line that names the machine and what runs on it, from what `environment` gave."""
    return f"{hardware(recorded)}; {software(recorded['versions'], recorded['python'])}"


def hardware(recorded: dict[str, Any]) -> str:
    """The machine alone."""
    kind = processor.words(recorded.get("processor", {}))  # older records have none
    cpu = f"{recorded['cores']} cores of {recorded['cpu']}{f' ({kind})' if kind else ''}"
    if not recorded["gpus"]:
        return cpu
    return f"{', '.join(recorded['gpus'])} (driver {recorded['gpu_driver']}), {cpu}"


def software(versions: Mapping[str, str], python: str) -> str:
    """The versions of what decides how a loop runs, in one line."""
    found = {title: versions[name] for name, title in TITLES.items() if name in versions}
    return ", ".join(f"{title} {version}" for title, version in {**found, "Python": python}.items())
