import sys

import pytest

from bench.errors import UsageError
from bench.program import INTERRUPTED, Program


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a script into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="script.py"):
        (tmp_path / name).write_text(text)
        return name

    return write


def test_a_script_runs_as_python_runs_it(script, capsys, tmp_path):
    script("answer = 42", "beside.py")
    script("import sys, beside\nprint(__name__, sys.argv, beside.answer)")
    before = list(sys.argv), list(sys.path)
    program = Program(["script.py", "--epochs", "1"])
    assert program.run() == 0
    assert capsys.readouterr().out == f"__main__ ['{tmp_path}/script.py', '--epochs', '1'] 42\n"
    assert (sys.argv, sys.path) == before
    assert program.name == "script.py --epochs 1"


def test_a_module_runs_as_python_m_runs_it(script, capsys, monkeypatch):
    script("import sys\nprint(__name__, sys.argv[1:], __file__.endswith('a_module_of_mine.py'))", "a_module_of_mine.py")
    program = Program(["x"], module="a_module_of_mine")
    assert program.run() == 0
    assert capsys.readouterr().out == "__main__ ['x'] True\n"
    assert program.name == "-m a_module_of_mine x"


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('no')", 1, "no\n"),
        ("raise KeyboardInterrupt", INTERRUPTED, "interrupted\n"),
    ],
)
def test_the_exit_code_is_the_programs(script, capsys, text, code, error):
    assert Program([script(text)]).run() == code
    assert capsys.readouterr().err == error


def test_an_exception_is_shown_from_the_programs_first_line_on(script, capsys):
    assert Program([script("def f():\n    raise ValueError('no')\nf()")]).run() == 1
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("Traceback")
    assert shown[1].endswith('script.py", line 3, in <module>')
    assert shown[-1] == "ValueError: no"


def test_an_error_of_the_context_counts_as_the_programs(script, capsys):
    class Refusing:
        def __enter__(self):
            return self

        def __exit__(self, *raised):
            raise OSError("refused")

    assert Program([script("pass")]).run(Refusing()) == 1
    assert "OSError: refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "no program: name a script"), (["nope.py"], "nope.py: there is no such script")]
)
def test_there_must_be_a_program(arguments, message):
    with pytest.raises(UsageError, match=message):
        Program(arguments)


def test_pytest_needs_no_m(script):
    program = Program(["pytest", "-q"])
    assert (program.name, program._module) == ("pytest -q", "pytest")
    script("pass", "pytest")
    assert Program(["pytest"])._module is None  # a script of that name is a script
