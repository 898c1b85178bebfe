import re
import subprocess
import sys
from pathlib import Path

import pytest

from loop_bench import hostsync
from loop_bench.errors import UsageError
from loop_bench.hostsync.command.program import INTERRUPTED, Program


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a script into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="script.py"):
        (tmp_path / name).write_text(text)
        return name

    return write


def test_a_script_runs_as_python_runs_it(script, capsys):
    script("answer = 42", "beside.py")
    script("import sys, beside\nprint(__name__, sys.argv, beside.answer)")
    before = list(sys.argv), list(sys.path)
    program = Program(["script.py", "--epochs", "1"])
    assert program.run() == 0
    assert capsys.readouterr().out == "__main__ ['script.py', '--epochs', '1'] 42\n"
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


RAISES = """\
import tensorflow as tf

@tf.function
def step(x):
    return x.nothing

def read():
    tf.constant([1.0]).numpy().nothing

try:
    read()
except AttributeError as error:
    try:
        step(tf.ones([4]))
    except AttributeError:
        raise KeyError("both") from error
"""


def test_the_traceback_is_the_one_that_the_program_has_alone(script, capsys):
    alone = subprocess.run([sys.executable, script(RAISES)], capture_output=True, text=True, check=False).stderr
    with hostsync.record():
        assert Program([script(RAISES)]).run() == 1

    def shown(text):
        own = text[text.index("Traceback") :]
        return re.sub(r'autograph_generated_file\w+|File ".*/', "", own)

    assert shown(capsys.readouterr().err) == shown(alone)


def test_a_frame_of_ours_in_between_is_left_out(script, capsys):
    text = "import tensorflow as tf\nfrom loop_bench import hostsync\n"
    text += "with hostsync.guard('disallow'):\n    float(tf.ones([]))"
    assert Program([script(text)]).run() == 1
    shown = capsys.readouterr().err
    assert "HostSyncError" in shown
    assert "hostsync/" not in shown


def test_an_error_of_the_context_counts_as_the_programs(script, capsys):
    class Refusing:
        def __enter__(self):
            return self

        def __exit__(self, *raised):
            raise OSError("refused")

    assert Program([script("pass")]).run(Refusing()) == 1
    assert "OSError: refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "module", "message"),
    [
        ([], None, "no program: name a script"),
        (["nope.py"], None, "nope.py: there is no such script"),
        (["--nope", "script.py"], None, "option --nope: unknown"),
        (["folder"], None, "folder: is a folder without a __main__.py"),
        ([], "no_such_module", "module no_such_module: not found"),
        ([], "no_such_package.module", "module no_such_package.module: not found"),
        ([], "", "module : not found"),
    ],
)
def test_there_must_be_a_program(script, tmp_path, arguments, module, message):
    (tmp_path / "folder").mkdir()
    script("pass")
    with pytest.raises(UsageError, match=message):
        Program(arguments, module)


def test_pytest_needs_no_m(script):
    program = Program(["pytest", "-q"])
    assert (program.name, program._module) == ("pytest -q", "pytest")
    script("pass", "pytest")
    assert Program(["pytest"])._module == ""  # a script of that name is a script


def test_a_folder_runs_its_main(script, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    script("print('main of', __name__)", "folder/__main__.py")
    assert Program(["folder"]).run() == 0
    assert capsys.readouterr().out == "main of __main__\n"


def test_the_current_folder_is_not_searched_for_a_script_elsewhere(script, tmp_path, capsys, monkeypatch):
    (tmp_path / "folder").mkdir()
    script("pass", "only_here.py")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # as `python -m loop_bench` has it
    assert Program([script("import only_here", "folder/script.py")]).run() == 1
    assert "No module named 'only_here'" in capsys.readouterr().err


def test_threads_that_it_has_started_are_waited_for(script, tmp_path):
    code = "import threading, time\ndef work():\n    time.sleep(0.05)\n    open('done', 'w').close()\n"
    assert Program([script(f"{code}threading.Thread(target=work).start()")]).run() == 0
    assert (tmp_path / "done").exists()


def test_idle_workers_of_an_executor_are_not_waited_for(script):
    code = "from concurrent.futures import ThreadPoolExecutor\nkept = ThreadPoolExecutor(1)\nkept.submit(int).result()"
    assert Program([script(code)]).run() == 0


def test_its_own_hook_for_exceptions_is_used(script, capsys, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    assert Program([script("import sys\nsys.excepthook = lambda *a: print('mine', a[0])\n1 / 0")]).run() == 1
    assert capsys.readouterr().out == "mine <class 'ZeroDivisionError'>\n"


def test_it_may_change_its_folder(script, tmp_path):
    assert Program([script("import os; os.chdir('/')")]).run() == 0
    assert Path.cwd() == tmp_path


def test_a_syntax_error_is_shown_alone(script, capsys):
    assert Program([script("x ===")]).run() == 1
    assert "bench" not in capsys.readouterr().err
