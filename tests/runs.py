"""Stand-ins for pytest's options and tests, for code that handles `pytest bench/`."""

import types

import pytest

from loop_bench.cli import pytest_options


class Declared(dict):
    """Options that were declared to pytest, by name."""

    def getgroup(self, *_):
        return self

    def addoption(self, name, **how):
        self[name] = how


def declared():
    """All options that the plugin declares."""
    found = Declared()
    pytest_options.add(found)
    return found


def config(**given):
    """Config of a pytest run with these options, and defaults for all others."""
    values = {name.strip("-").replace("-", "_"): how.get("default") for name, how in declared().items()}
    values = {**values, "collectonly": False, **given}

    def getoption(name, *default):
        return values.get(name, *default) if default else values[name]

    return types.SimpleNamespace(getoption=getoption, stash=pytest.Stash())


def item(name, **marks):
    """A test with markers, each with its argument."""
    found = {mark: types.SimpleNamespace(args=(argument,)) for mark, argument in marks.items()}
    return types.SimpleNamespace(name=name, get_closest_marker=found.get)
