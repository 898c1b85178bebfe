"""What a process of an arm can meet, in a module that needs no TensorFlow."""

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
    """A factory that is only to be found."""


class Arm:
    """Stands for a loop that is asked in another process."""

    def imports(self, module):
        """What the module of a loop says of itself here."""
        found = importlib.import_module(module)
        return [found.RATE, str(Path.cwd()), found.__file__, os.environ.get("PYTHONHASHSEED"), os.environ.get("KIND")]

    def imported_in(self, module):
        """The process in which a module that notes it was imported."""
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
        """Leaves a file that says that it has begun."""
        if mark:
            Path(mark).touch()
        threading.Event().wait(100)

    def spin(self, seconds):
        """Goes on computing, after it has returned."""

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
        """Starts a process that does not end by itself; gives its number."""
        return subprocess.Popen(["sleep", "1000"]).pid

    def fork(self):
        """Leaves a child that holds all that is open here."""
        if os.fork() == 0:
            time.sleep(1000)

    def busy_child(self):
        """Starts a process that computes on."""
        self.computing = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def end_child(self):
        self.computing.kill()
        self.computing.wait()

    def spawn(self):
        """Whether a process that Python's own library starts anew has imported anything of ours."""
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(has_ours)


def has_ours():
    return "loop_bench" in sys.modules
