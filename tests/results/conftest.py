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
    folder = RESULTS / "gate"
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
