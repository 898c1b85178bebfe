import os
import subprocess
import sys

import pytest


@pytest.fixture
def run_python(tmp_path):
    """Runs a program of its own in a process of its own."""

    def run(program, *arguments):
        (tmp_path / "program.py").write_text(program)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, "program.py", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
