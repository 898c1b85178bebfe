"""Runs Python programs in forks of a process that has imported TensorFlow, which saves tests the import.

Otherwise a program runs as `python` with the same arguments would, in a folder and with variables of its own. Tests of
the start itself (which modules are imported, and when) start a new process instead.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import programs

from loop_bench.jobs.forkserver import ForkServer

ROOT = Path(__file__).parents[1]
PRELOADED = (
    "tensorflow", "keras", "matplotlib.backends.backend_agg", "matplotlib.pyplot", "pandas", "psutil", "pydantic",
    "rich.console", "ruptures", "scipy.stats", "typer",
)  # fmt: skip
"""Modules to import before forking: neither this package's nor pytest's, which must rewrite test modules first."""

_CHILD = """
import json, os, signal, sys
folder, variables, streams, arguments = json.loads(sys.argv[1])
for number, path in enumerate(streams, start=1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
os.chdir(folder)
for name, value in variables.items():
    os.environ.pop(name, None) if value is None else os.environ.update({name: value})
sys.path[0] = folder
signal.signal(signal.SIGINT, signal.default_int_handler)
if arguments[0] in ("-c", "-m"):
    from loop_bench.jobs.forkserver_process import run_as_python
    sys.exit(run_as_python(arguments))
import runpy
sys.argv = arguments
runpy.run_path(os.path.join(folder, arguments[0]), run_name="__main__")
"""


class Python:
    """Runs programs; on leaving, ends them and all processes that they have started.

    The programs have this process's environment variables, without pytest's.
    """

    def __init__(self):
        kept = programs.alone()
        path = os.pathsep.join(filter(None, [str(ROOT / "tests"), str(ROOT), kept.get("PYTHONPATH")]))
        self._server = ForkServer(PRELOADED, {**kept, "PYTHONPATH": path})

    def __enter__(self):
        self._server.__enter__()
        return self

    def __exit__(self, *error):
        self._server.__exit__(*error)

    def __call__(self, *arguments, cwd=ROOT, timeout=300.0, **variables):
        """Runs a program to its end, as subprocess.run does; a variable of None is removed."""
        with self.begun(*arguments, cwd=cwd, **variables) as program:
            code = program.wait(timeout)
            assert code is not None, f"{arguments} hangs: {program.stderr()}"
            return subprocess.CompletedProcess(arguments, code, program.stdout(), program.stderr())

    @contextlib.contextmanager
    def begun(self, *arguments, cwd=ROOT, **variables):
        """Starts a program, which is ended on leaving."""
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder) / name for name in ("stdout", "stderr")]
            for path in streams:
                path.touch()
            asked = json.dumps([str(cwd), variables, [*map(str, streams)], [*map(str, arguments)]])
            with (Path(folder) / "output").open("wb") as output:
                process = self._server.start(["-c", _CHILD, asked], output.fileno())
            try:
                yield Program(process, streams, Path(folder) / "output")
            finally:
                process.kill()
                process.wait()
                process.close()


class Program:
    """A program that is running or has ended."""

    def __init__(self, process, streams, output):
        self._process, self._streams, self._output = process, streams, output

    @property
    def pid(self):
        """Process id of the program."""
        return self._process.pid

    def wait(self, timeout):
        """Waits for the exit code; None if the program has not ended within `timeout` seconds."""
        return self._process.wait(timeout)

    def stdout(self):
        return self._streams[0].read_text(errors="replace")

    def stderr(self):
        """Standard error of the program, including output before the stream was set up."""
        return self._streams[1].read_text(errors="replace") + self._output.read_text(errors="replace")

    def interrupt_after(self, line, timeout=120.0):
        """Sends Ctrl-C as soon as standard error has a line that begins with `line`."""
        deadline = time.monotonic() + timeout
        while not any(each.startswith(line) for each in self.stderr().splitlines()):
            assert self._process.wait(0.01) is None, self.stderr()
            assert time.monotonic() < deadline
        os.kill(self._process.pid, signal.SIGINT)
