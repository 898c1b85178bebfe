"""Python programs that are begun as a user begins them, in a process of their own from its start."""

import os
import subprocess
import sys


def alone():
    """This process's variables without those of pytest, whose plugins would take a program for one of its workers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def imports_of(*arguments):
    """A program that has come to its end, as subprocess.run gives it, and the names of the modules that it imported.

    Those that pytest rewrites are not among them.
    """
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, env=alone(), capture_output=True, text=True, check=False)
    return done, {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
