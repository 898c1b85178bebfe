"""Runs Python programs as a user does, each in a new process."""

import os
import subprocess
import sys
from pathlib import Path


def alone():
    """Environment without pytest's variables, by which plugins would take a program for one of their workers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def cases(path, mark="", **variables):
    """Runs a file of tests in a process of its own, for settings that hold for a whole process; asserts that they pass.

    Args:
        path: path of the file.
        mark: expression of marks for pytest's -m; "" for all tests.
        variables: environment variables in addition to those of this process.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", mark or "slow or not slow", path]
    root = Path(__file__).parents[1]
    found = subprocess.run(
        [*map(str, command)], env={**alone(), **variables}, capture_output=True, text=True, cwd=root, check=False
    )
    assert found.returncode == 0, found.stdout[-20000:] + found.stderr[-2000:]


def imports_of(*arguments):
    """Runs a program; returns the result of subprocess.run and the names of the modules that the program imported.

    Modules that pytest rewrites are not included.
    """
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, env=alone(), capture_output=True, text=True, check=False)
    return done, {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
