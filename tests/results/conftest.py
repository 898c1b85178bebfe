import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="session")
def load_script():
    """Gives a script of results/, which is no package, as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name.replace("/", "_").removesuffix(".py"), RESULTS / name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def gate_scripts():
    """The folder of scripts that import each other, found like modules; and where their samples are."""
    with found_like_modules(RESULTS / "gate") as folder:
        yield folder


@pytest.fixture(scope="session")
def scaling_scripts():
    """The folder of the scripts on scaling, found like modules."""
    with found_like_modules(RESULTS / "scaling") as folder:
        yield folder


@contextlib.contextmanager
def found_like_modules(folder):
    sys.path.insert(0, str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))
