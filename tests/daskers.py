"""A Dask scheduler and workers as processes on this machine, and a stub of TensorFlow, for tests."""

import contextlib
import importlib.metadata
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
from distributed import Client
from waiting import until

TENSORFLOW = "2.21.0"

STUB = """
import os, types
import psutil
__version__ = os.environ.get("STUB_TENSORFLOW", "2.21.0")
if "STUB_CORES" in os.environ:
    psutil.cpu_count = lambda logical=True: int(os.environ["STUB_CORES"])
gpus = [types.SimpleNamespace(name=name) for name in filter(None, os.environ.get("STUB_GPUS", "").split(","))]
config = types.SimpleNamespace(
    list_physical_devices=lambda kind: gpus,
    experimental=types.SimpleNamespace(get_device_details=lambda device: {}),
)
sysconfig = types.SimpleNamespace(get_build_info=dict)
"""

HERE = {
    "versions": {
        "tensorflow": TENSORFLOW,
        **{name: importlib.metadata.version(name) for name in ("keras", "numpy", "pytest-benchmark")},
    },
    "python": platform.python_version(),
    "cpu": "of the submitting machine",
}
"""Environment of a machine with the stub of TensorFlow."""


def stub(folder):
    """A folder with a stub of the module tensorflow."""
    (folder / "stub").mkdir(exist_ok=True)
    (folder / "stub" / "tensorflow.py").write_text(STUB)
    return folder / "stub"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Daskers:
    """Starts processes of Dask; ends all of them on leaving.

    Args:
        folder: folder in which workers start.
        path: folders of modules that only workers can import.
    """

    def __init__(self, folder, path=()):
        self.folder, self.path = folder, [*map(str, path)]
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            self.kill(process)

    def scheduler(self):
        process = self._start("scheduler", "--port", str(self.port))
        until(self._listens)
        return process

    def worker(self, resources="MACHINE=1", nanny=True, **variables):
        arguments = [self.address, "--nthreads", "1", "--local-directory", str(self.folder / "dask")]
        arguments += ["--resources", resources] if resources else []
        return self._start("worker", *arguments, *([] if nanny else ["--no-nanny"]), **variables)

    def wait_for(self, workers):
        """Waits until the scheduler has this many workers."""
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers)

    def kill(self, process):
        """Kills a process and all processes that it has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _start(self, which, *arguments, **variables):
        path = os.pathsep.join([*self.path, *filter(None, sys.path)])
        command = [sys.executable, "-m", f"distributed.cli.dask_{which}", *arguments]
        with Path(self.folder / f"{which}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--no-dashboard"],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": path, **variables},
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def _listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False
