"""Python programs for tests that begin with everything imported: forks of a process that has imported TensorFlow.

Each is as `python` with the same arguments, in a folder and with variables of its own, but for what takes longest.
Where the start itself is the point (what is imported, and when), a test begins a process.
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
"""None of ours, and nothing of pytest, which wants to see test modules first."""

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
    """Runs programs; ends them, and what they have started, when it is left.

    Its processes have this one's variables without those of pytest.
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
        """A program that has come to its end, as subprocess.run gives it; None takes a variable away."""
        with self.begun(*arguments, cwd=cwd, **variables) as program:
            code = program.wait(timeout)
            assert code is not None, f"{arguments} hangs: {program.stderr()}"
            return subprocess.CompletedProcess(arguments, code, program.stdout(), program.stderr())

    @contextlib.contextmanager
    def begun(self, *arguments, cwd=ROOT, **variables):
        """A program that runs; it is ended on leaving."""
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
    """One that runs, or has run."""

    def __init__(self, process, streams, output):
        self._process, self._streams, self._output = process, streams, output

    @property
    def pid(self):
        """Of its process."""
        return self._process.pid

    def wait(self, timeout):
        """Its exit code; None when it has not ended within so many seconds."""
        return self._process.wait(timeout)

    def stdout(self):
        return self._streams[0].read_text(errors="replace")

    def stderr(self):
        """Its standard error, and what it printed before it had one."""
        return self._streams[1].read_text(errors="replace") + self._output.read_text(errors="replace")

    def interrupt_after(self, line, timeout=120.0):
        """Sends it Ctrl-C as soon as its standard error has a line that begins so."""
        deadline = time.monotonic() + timeout
        while not any(each.startswith(line) for each in self.stderr().splitlines()):
            assert self._process.wait(0.01) is None, self.stderr()
            assert time.monotonic() < deadline
        os.kill(self._process.pid, signal.SIGINT)
