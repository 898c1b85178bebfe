import pytest


@pytest.fixture
def run_python(python, tmp_path):
    """Runs a program of its own in a process of its own."""

    def run(program, *arguments):
        (tmp_path / "program.py").write_text(program)
        done = python("program.py", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
