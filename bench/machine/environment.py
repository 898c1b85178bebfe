"""What a record must say of the machine and the software for its numbers to mean anything later."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import cpuinfo
import psutil
import pynvml

PACKAGES = ("tensorflow", "keras", "numpy", "pytest-benchmark")


def environment() -> dict[str, Any]:
    """Machine, devices, versions and commit, as plain values."""
    import tensorflow as tf  # here, so that what only reads records need not wait for it

    build = tf.sysconfig.get_build_info()
    return {
        "cpu": cpuinfo.get_cpu_info().get("brand_raw", platform.processor()),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "gpus": [
            tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.list_physical_devices("GPU")
        ],
        "gpu_driver": _gpu_driver(),
        "cuda_build": build.get("cuda_version"),
        "cudnn_build": build.get("cudnn_version"),
        # Set for a whole process, and it decides how a GPU's memory is handed out.
        "gpu_allow_growth": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"),
        **_commit(),
    }


def machine(found: dict[str, Any]) -> str:
    """One line that names the machine and what runs on it, from what `environment` gave."""
    processor = f"{found['cores']} cores of {found['cpu']}"
    device = f"{', '.join(found['gpus'])} (driver {found['gpu_driver']}), {processor}" if found["gpus"] else processor
    versions = found["versions"]
    return f"{device}; TensorFlow {versions['tensorflow']}, Keras {versions['keras']}, Python {found['python']}"


def _gpu_driver() -> str | None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def _commit() -> dict[str, Any]:
    """The commit of the current folder, where the loops under test come from, if it is in a repository."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=Path.cwd(), capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    status = git("status", "--porcelain")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}
