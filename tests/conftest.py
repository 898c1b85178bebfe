"""Fixtures for all tests: everything at the preset `tiny`."""

import gc
import os
import signal
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from forked import Python

from loop_bench import extras
from loop_bench.seqgan import dataset
from loop_bench.seqgan.config import Config

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The million objects that TensorFlow and the tests are made of are no garbage: Python is not to search them.
gc.disable()


def pytest_collection_finish():
    """Turns the garbage collector on again, for objects that are made from here on."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure():
    """Collects garbage once, to close what tests have left open; pytest would do so five times."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny():
    """A small config, without XLA, whose compilation would take most of a test's time."""
    return Config.preset("tiny", jit_compile=False)


@pytest.fixture(scope="session")
def lines(tiny):
    """Synthetic lines for the config `tiny`."""
    return dataset.load(tiny)


@pytest.fixture(scope="session")
def python():
    """Runs programs in forks of a process that has imported TensorFlow."""
    with Python() as run:
        yield run


@pytest.fixture
def script(tmp_path):
    """A script of 40 speeches."""
    path = tmp_path / "script.csv"
    rows = ["character,scene,text"]
    for number in range(40):
        who = ("Hamlet", "Ophelia")[number % 2]
        rows.append(f'{who},{1 + number % 3}.1,"My lord, the word number {number} is spoken. Go!"')
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def hamlet():
    """A real script; tests are skipped without it."""
    path = Path(__file__).parents[2] / "shared" / "data" / "hamlet.csv"
    if not path.exists():
        pytest.skip("the real script is not here: ../shared/data/hamlet.csv")
    return path


@pytest.fixture
def undrawn(monkeypatch):
    """Makes pictures without drawing them, which takes a second each; for tests of what uses the pictures."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda self, file, **how: file.write(b"<svg></svg>"))


@pytest.fixture
def lacking(monkeypatch):
    """Makes an extra's packages appear not to be installed."""

    def lack(extra):
        there = extras._is_there
        modules = extras.EXTRAS[extra].values()
        monkeypatch.setattr(extras, "_is_there", lambda module: module not in modules and there(module))

    return lack
