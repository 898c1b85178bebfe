"""Python programs that are begun as a user begins them, in a process of their own from its start."""

import os
import subprocess
import sys
from pathlib import Path


def alone():
    """This process's variables without those of pytest, whose plugins would take a program for one of its workers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def cases(path, mark="", **variables):
    """Runs a file of tests in a process of its own, where something is decided once for a process; asserts they pass.

    Args:
        path: of the file.
        mark: an expression of marks, as pytest's -m takes it; empty for all.
        variables: of that process, besides this one's.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", mark or "slow or not slow", path]
    root = Path(__file__).parents[1]
    found = subprocess.run(
        [*map(str, command)], env={**alone(), **variables}, capture_output=True, text=True, cwd=root, check=False
    )
    assert found.returncode == 0, found.stdout[-20000:] + found.stderr[-2000:]


def imports_of(*arguments):
    """A program that has come to its end, as subprocess.run gives it, and the names of the modules that it imported.

    Those that pytest rewrites are not among them.
    """
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, env=alone(), capture_output=True, text=True, check=False)
    return done, {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
