"""Ways in which the process of an arm can fail, in a module that needs no TensorFlow."""

import importlib
import math
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

IMPORTED_IN = os.getpid()


def make_loop(spec):
    """A factory that is never called, only located."""


class Arm:
    """Stands in for a loop in another process."""

    def imports(self, module):
        """A module's RATE and file as imported in this process, with its folder and two environment variables."""
        found = importlib.import_module(module)
        return [found.RATE, str(Path.cwd()), found.__file__, os.environ.get("PYTHONHASHSEED"), os.environ.get("KIND")]

    def imported_in(self, module):
        """Id of the process in which a module was imported."""
        return importlib.import_module(module).IMPORTED_IN

    def variable(self, name):
        return os.environ.get(name)

    def path(self):
        return sys.path

    def echo(self, value):
        return value

    def fail(self, kind):
        raise {"value": ValueError("out of range"), "exit": SystemExit(3)}[kind]

    def print_and_leave(self, code):
        print("one more thing")
        os._exit(code)

    def leave(self, code):
        os._exit(code)

    def signal(self, number):
        os.kill(os.getpid(), number)
        time.sleep(100)

    def hang(self, mark=None):
        """Writes a file at its start, then hangs."""
        if mark:
            Path(mark).touch()
        threading.Event().wait(100)

    def spin(self, seconds):
        """Computes in the background after it has returned."""

        def compute():
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                math.sqrt(2.0)

        threading.Thread(target=compute, daemon=True).start()

    def unspeakable(self):
        return {1, 2}

    def close_all(self):
        os.closerange(0, 100)
        time.sleep(100)

    def child(self):
        """Starts a process that does not end by itself; returns its id."""
        return subprocess.Popen(["sleep", "1000"]).pid

    def fork(self):
        """Leaves a child that keeps all open files of this process."""
        if os.fork() == 0:
            time.sleep(1000)

    def busy_child(self):
        """Starts a process that computes without end."""
        self.computing = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def end_child(self):
        self.computing.kill()
        self.computing.wait()

    def spawn(self):
        """Whether a process spawned by Python's standard library has imported any module of this package."""
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(has_ours)


def has_ours():
    return "loop_bench" in sys.modules
