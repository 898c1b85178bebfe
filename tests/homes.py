"""Homes of arms, for tests: an environment in which this package may import only what an arm needs."""

import dataclasses
import os

from test_core import REFUSED

from loop_bench.arms.launch import launch

REFUSING = f"""
import builtins

importing = builtins.__import__

def refusing(name, globals=None, locals=None, fromlist=(), level=0):
    asking = globals or {{}}
    asking = asking.get("__package__") or asking.get("__name__", "")  # of a module that runs as a program, its package
    if asking.startswith("loop_bench") and not level and name.partition(".")[0] in {[*REFUSED, "pytest", "rich"]}:
        raise ModuleNotFoundError(f"{{asking}} imports {{name}}", name=name)
    return importing(name, globals, locals, fromlist, level)

builtins.__import__ = refusing
"""


def bare(place, folder, **variables):
    """Launch settings for processes in a folder whose modules they can import.

    Args:
        place: folder for the module that refuses imports.
        folder: folder of the processes.
        variables: environment variables in addition to those of this process.
    """
    (place / "sitecustomize.py").write_text(REFUSING)
    made = launch(folder, variables=variables)
    paths = (str(folder), *made.paths)
    path = os.pathsep.join([str(place), *paths])
    return dataclasses.replace(made, paths=paths, environment={**made.environment, "PYTHONPATH": path})


def without_tensorflow(folder):
    """Variables of processes that import stubs in this folder instead of modules that are slow to import."""
    folder.mkdir(exist_ok=True)
    (folder / "tensorflow.py").write_text("import os\n__version__, IMPORTED_IN = '2.0', os.getpid()\n")
    (folder / "keras.py").touch()
    return {"PYTHONPATH": str(folder)}
