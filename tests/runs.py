"""What `pytest bench/` looks like to the code that serves it, without pytest: options, and tests that are to run."""

import types

import pytest

from loop_bench.cli import pytest_options


class Declared(dict):
    """What pytest is told of options, by name."""

    def getgroup(self, *_):
        return self

    def addoption(self, name, **how):
        self[name] = how


def declared():
    """All options."""
    found = Declared()
    pytest_options.add(found)
    return found


def config(**given):
    """A pytest run with these options, and all others as they are by default."""
    values = {name.strip("-").replace("-", "_"): how.get("default") for name, how in declared().items()}
    values = {**values, "collectonly": False, **given}

    def getoption(name, *default):
        return values.get(name, *default) if default else values[name]

    return types.SimpleNamespace(getoption=getoption, stash=pytest.Stash())


def item(name, **marks):
    """A test with markers, each with its argument."""
    found = {mark: types.SimpleNamespace(args=(argument,)) for mark, argument in marks.items()}
    return types.SimpleNamespace(name=name, get_closest_marker=found.get)
