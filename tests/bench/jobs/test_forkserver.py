import concurrent.futures
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from waiting import has_ended, until

from loop_bench.jobs.forkserver import ForkServer

HANG = "import time; time.sleep(600)"
BUSY = "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')"
"""Holds Python's lock for longer than anybody waits."""

PRELOADED = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()  # a fork with threads is warned of
print("imported once")
state = []
"""
TAKING = """
import asyncio  # since Python 3.12 it does in every fork what is done below
import os, signal
os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
"""
SHOWN = "import sys\nprint(__name__, sys.argv[1:], sys.argv[0] == __file__)"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder of modules."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "preloaded.py").write_text(PRELOADED)
    (folder / "taking.py").write_text(TAKING)
    (folder / "shown.py").write_text(SHOWN)
    return folder


def variables(desk, **more):
    return {**os.environ, "PYTHONPATH": f"{desk}{os.pathsep}{Path.cwd()}", **more}


@pytest.fixture(scope="module")
def server(desk):
    with ForkServer(["preloaded"], variables(desk, PYTHONWARNINGS="error")) as server:
        yield server


def begin(server, code, *arguments, hold=()):
    with tempfile.TemporaryFile() as output:
        return server.start(["-c", code, *map(str, arguments)], output.fileno(), hold)


def ended(server, *arguments, hold=(), environment=None):
    """Exit code and output of a process."""
    with tempfile.TemporaryFile() as output:
        process = server.start(arguments, output.fileno(), hold, environment)
        code = process.wait(60)
        process.close()
        output.seek(0)
        return code, output.read().decode()


@contextlib.contextmanager
def locked(path):
    """A file's lock, as the only one that this process has of it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
    finally:
        os.close(lock)


def is_free(path):
    """Whether a file's lock is free: all processes that held it are gone."""
    try:
        with locked(path):
            return True
    except BlockingIOError:
        return False


def open_files(pid="self"):
    """Where the files of a process lead."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.append(str(path.readlink()))
    return sorted(found)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", 0),
        ("import sys; sys.exit()", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os._exit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 6)", -signal.SIGRTMIN - 6),
        ("import sys; sys.stdout.close()", 0),
    ],
)
def test_an_exit_code_is_that_of_python(server, code, expected):
    assert ended(server, "-c", code) == (expected, "")


def test_what_is_not_caught_is_shown(server):
    code, output = ended(server, "-c", "def f():\n    raise ValueError('no good')\nf()")
    assert code == 1
    assert output.startswith("Traceback ")
    assert output.endswith("ValueError: no good\n")


def test_a_text_to_exit_with_is_shown(server):
    assert ended(server, "-c", "raise SystemExit('no good')") == (1, "no good\n")


def test_code_has_its_arguments(server):
    show = "import sys; print(__name__, sys.argv)"
    assert ended(server, "-c", show, "a", "b c", "-x") == (0, "__main__ ['-c', 'a', 'b c', '-x']\n")


def test_a_module_has_its_arguments(server):
    assert ended(server, "-m", "shown", "a", "b c", "-x") == (0, "__main__ ['a', 'b c', '-x'] True\n")


def test_processes_have_the_variables_that_are_given(desk):
    with ForkServer((), variables(desk, OURS="1", THEIRS="2")) as server:
        show = "import os; print(os.environ['OURS'], os.environ['THEIRS'])"
        assert ended(server, "-c", show) == (0, "1 2\n")
        assert ended(server, "-c", show, environment={"OURS": "3"}) == (0, "3 2\n")
        assert ended(server, "-c", show) == (0, "1 2\n")


def test_it_is_started_with_the_given_command_in_the_given_folder(desk, tmp_path):
    begun = []

    def command(module, *arguments):
        begun.append((module, *arguments[1:]))
        return [sys.executable, "-X", "utf8=1", "-m", module, *arguments]

    with ForkServer(["preloaded"], variables(desk), command, tmp_path) as server:
        found = ended(server, "-c", "import os, sys; print(os.getcwd(), sys.flags.utf8_mode)")
    assert found == (0, f"{tmp_path} 1\n")
    assert begun == [("loop_bench.jobs.forkserver_process", "preloaded")]


def test_what_a_process_prints_before_it_is_killed_is_there(desk):
    with ForkServer((), variables(desk, PYTHONUNBUFFERED="")) as server:
        code = "import os\nprint('last words')\nos.kill(os.getpid(), 9)"
        assert ended(server, "-c", code) == (-signal.SIGKILL, "last words\n")


def test_draws_without_a_seed_are_a_processs_own(desk):
    with ForkServer(["numpy.random"], variables(desk)) as server:
        draws = [ended(server, "-c", "import numpy as np; print(np.random.rand())")[1] for _ in range(2)]
    assert len({*draws}) == 2


def test_a_preloaded_module_may_take_away_the_descriptor_that_signals_wake(desk):
    with ForkServer(["taking"], variables(desk)) as server:
        assert ended(server, "-c", "print('alive')") == (0, "alive\n")


def test_its_input_is_at_its_end_when_the_one_that_has_begun_it_closes_it(server, tmp_path):
    code = f"import sys\nassert not sys.stdin.read()\nopen({str(tmp_path / 'at the end')!r}, 'w').close()"
    process = begin(server, code)
    assert process.wait(0.2) is None
    process.close()
    until((tmp_path / "at the end").exists)


def test_output_goes_into_its_file_and_nowhere_else(desk, capfd):
    code = (
        "import os, subprocess, sys\n"
        "os.write(1, b'one '); os.write(2, b'two ')\n"
        "subprocess.run(['echo', 'three'], check=True)\n"
        "print('four', end=' '); sys.stdout.flush(); print('five', end='', file=sys.stderr)"
    )
    with ForkServer(["preloaded"], variables(desk, PYTHONUNBUFFERED="")) as server:
        assert [ended(server, "-c", code) for _ in range(2)] == [(0, "one two three\nfour five")] * 2
    assert capfd.readouterr() == ("", "")


def test_a_process_has_its_files_and_none_of_the_servers_or_of_another(server, tmp_path):
    show = "import os\nfor file in os.listdir('/proc/self/fd'):\n    try: print(os.readlink(f'/proc/self/fd/{file}'))\n"
    show += "    except OSError: pass"
    with locked(tmp_path / "of one") as one, locked(tmp_path / "of two") as two:
        other = begin(server, HANG, hold=[one])
        pipes = [f"pipe:[{os.fstat(file).st_ino}]" for file in (other._stdin, other._status)]
        code, output = ended(server, "-c", show, hold=[two])
    files = output.splitlines()
    standard, rest = files[:3], files[3:]
    assert code == 0
    assert standard[1] == standard[2]
    assert standard[0] not in pipes
    assert rest == [str(tmp_path / "of two")]
    other.kill()
    assert other.wait(60) == -signal.SIGKILL
    other.close()


def test_a_lock_handed_over_is_free_when_both_are_gone(server, tmp_path):
    path = tmp_path / "lock"
    with locked(path) as lock:
        process = begin(server, HANG, hold=[lock])
    assert not is_free(path)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    assert is_free(path)
    process.close()


def test_the_server_keeps_no_file_of_what_has_ended(server, tmp_path):
    path, of_server = tmp_path / "lock", server._process.pid
    with locked(path) as lock:
        process = begin(server, HANG, hold=[lock])
        status = f"pipe:[{os.fstat(process._status).st_ino}]"
        files = open_files(of_server)  # it has answered: with what has ended before it is done
        assert status in files
        assert str(path) not in files
        for _ in range(5):
            ended(server, "-c", "", hold=[lock])
    process.kill()
    process.wait()
    process.close()
    until(lambda: open_files(of_server) == [file for file in files if file != status])
    assert psutil.Process(of_server).children() == []  # nor a zombie


def test_modules_are_there_and_what_is_done_to_them_is_not(server):
    change = "import sys\nmodule = sys.modules['preloaded']\nprint(module.state)\nmodule.state.append(1)"
    assert [ended(server, "-c", change) for _ in range(3)] == [(0, "[]\n")] * 3


STARTS = "import os\nif not os.fork():\n    import time; time.sleep(600)\n"


@pytest.mark.parametrize("code", [HANG, BUSY, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HANG])
def test_kill_ends_a_process_and_what_it_has_started(server, tmp_path, code):
    path, begun = tmp_path / "lock", tmp_path / "begun"
    with locked(path) as lock:
        process = begin(server, f"{STARTS}open({str(begun)!r}, 'w').close()\n{code}", hold=[lock])
    until(begun.exists)
    assert process.wait(0) is None
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    until(lambda: is_free(path))
    process.close()


@pytest.mark.parametrize("end", ["", "raise ValueError", "os.kill(os.getpid(), 9)"])
def test_nothing_that_it_has_started_outlives_a_process(server, tmp_path, end):
    with locked(tmp_path / "lock") as lock:
        ended(server, "-c", STARTS + end, hold=[lock])
    until(lambda: is_free(tmp_path / "lock"))


def test_to_kill_what_ends_or_has_ended_does_nothing_else(server):
    other = begin(server, HANG)
    for number in range(100):
        process = begin(server, "raise SystemExit(3)")
        if number % 2:
            assert process.wait(60) == 3
        for _ in range(3):
            process.kill()
        assert process.wait(60) == 3 if number % 2 else process.wait(60) in (3, -signal.SIGKILL)
        process.close()
        process.kill()
    assert other.wait(0) is None
    other.kill()
    assert other.wait(60) == -signal.SIGKILL
    other.close()


def test_a_process_that_has_left_its_group_is_no_harm(server):
    code = f"import os\nos.setpgid(0, os.getppid())\nprint('left', flush=True)\n{HANG}"
    with tempfile.TemporaryFile() as output:
        process = server.start(["-c", code], output.fileno())
        until(lambda: os.fstat(output.fileno()).st_size)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    process.close()
    assert ended(server, "-c", "raise SystemExit(3)") == (3, "")


def test_waits_no_longer_than_asked(server):
    process = begin(server, HANG)
    started = time.monotonic()
    assert process.wait(0) is None
    assert process.wait(0.2) is None
    assert 0.2 <= time.monotonic() - started < 10
    assert process.returncode is None
    process.kill()
    assert [process.wait(), process.wait(0), process.returncode] == [-signal.SIGKILL] * 3
    assert not process.lost
    process.close()


def test_many_at_once_from_several_threads(server):
    def one(number):
        code = f"import os, time; time.sleep({number % 7} / 100); print({number}, os.getpid(), os.getpgrp())"
        with tempfile.TemporaryFile() as output:
            process = server.start(["-c", f"{code}; raise SystemExit({number})"], output.fileno())
            assert process.wait(60) == number
            process.close()
            output.seek(0)
            assert output.read().decode() == f"{number} {process.pid} {process.pid}\n"
            return number

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [*pool.map(one, range(100))] == [*range(100)]


def test_leaving_leaves_nothing(desk, tmp_path):
    path, begun = tmp_path / "lock", tmp_path / "begun"
    before = open_files()
    with ForkServer(["preloaded"], variables(desk)) as server:
        with locked(path) as lock:
            alive = [begin(server, code, hold=[lock]) for code in (HANG, BUSY)]
            large = f"memory = bytearray(b'1') * 300_000_000\nopen({str(begun)!r}, 'w').close()\n{HANG}"
            alive.append(begin(server, large, hold=[lock]))  # it is not gone in a moment
        until(begun.exists)
        assert ended(server, "-c", "") == (0, "")
        assert not is_free(path)
    assert is_free(path)  # at once
    assert [process.wait(60) for process in alive] == [-signal.SIGKILL] * 3
    for process in alive:
        process.kill()
        process.close()
    assert open_files() == before
    mine = psutil.Process().children(recursive=True)
    assert server._process.pid not in [process.pid for process in mine]
    assert psutil.STATUS_ZOMBIE not in [process.status() for process in mine]


STARTER = """
import fcntl, os, sys, time
from loop_bench.jobs.forkserver import ForkServer

lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
with ForkServer(sys.argv[2].split(), os.environ) as server:
    print("entered", flush=True)
    for code in sys.argv[3:]:
        server.start(["-c", code], 1, [lock])
    print("begun", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def starter(desk, lock, modules, *codes, **more):
    """A process that has entered a server."""
    command = [sys.executable, "-c", STARTER, lock, modules, *codes]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=variables(desk, **more), text=True)
    try:
        assert process.stdout.readline() == "entered\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nothing_outlives_the_one_that_has_begun_it(desk, tmp_path):
    path = tmp_path / "lock"
    begun = [tmp_path / f"begun {number}" for number in range(2)]
    codes = [
        f"{STARTS}open({str(file)!r}, 'w').close()\n{code}" for file, code in zip(begun, (HANG, BUSY), strict=True)
    ]
    with starter(desk, path, "", *codes) as process:
        until(lambda: all(file.exists() for file in begun))
        assert not is_free(path)
        process.kill()
        process.wait()
        until(lambda: is_free(path))


def test_nothing_is_left_of_what_was_asked_for_before_the_imports_were_done(desk, tmp_path):
    path, importing, go_on, begun = (tmp_path / name for name in ("lock", "importing", "go on", "begun"))
    wait = f"while not os.path.exists({str(go_on)!r}) and time.monotonic() < begun + 120: time.sleep(0.005)"
    (desk / "slow.py").write_text(
        f"import os, time\nbegun = time.monotonic()\nopen({str(importing)!r}, 'w').close()\n{wait}"
    )
    with starter(desk, path, "slow", f"open({str(begun)!r}, 'w').close()\n{HANG}") as process:
        until(importing.exists)
        time.sleep(0.1)  # for the message to be on its way
        process.kill()
        process.wait()
        go_on.touch()
        until(lambda: is_free(path))


@pytest.mark.parametrize("when", ["before the answer", "before the answer is read"])
def test_nothing_outlives_one_that_was_ended_while_it_asked(desk, tmp_path, when):
    path, begun = tmp_path / "lock", [tmp_path / f"begun {number}" for number in range(2)]
    codes = [f"{STARTS}open({str(file)!r}, 'w').close()\n{HANG}" for file in begun]
    with ForkServer((), variables(desk)) as server, Path(os.devnull).open("r+b") as null:
        with locked(path) as lock:
            first = begin(server, codes[0], hold=[lock])
            until(begun[0].exists)
            if when == "before the answer":
                os.kill(server._process.pid, signal.SIGSTOP)
            message = json.dumps({"start": ["-c", codes[1]], "environment": {}, "given": 0, "folder": None}).encode()
            socket.send_fds(server._socket, [message], [null.fileno(), null.fileno(), null.fileno(), lock])
        if when != "before the answer":
            until(begun[1].exists)
        server._socket.close()
        os.kill(server._process.pid, signal.SIGCONT)
        until(lambda: is_free(path))
        first.close()


def test_nothing_outlives_a_killed_server_or_waits_for_it(desk, tmp_path):
    path, begun = tmp_path / "lock", tmp_path / "begun"
    before = open_files()
    with ForkServer((), variables(desk)) as server:
        with locked(path) as lock:
            codes = (f"{STARTS}open({str(begun)!r}, 'w').close()\n{HANG}", BUSY)
            alive = [begin(server, code, hold=[lock]) for code in codes]
        until(begun.exists)
        os.kill(server._process.pid, signal.SIGKILL)
        assert [process.wait(60) for process in alive] == [-signal.SIGKILL] * 2
        assert all(process.lost for process in alive)
        until(lambda: is_free(path))
        for _ in range(2):
            with pytest.raises(RuntimeError, match=r"forks has died$"):
                begin(server, HANG)
        for process in alive:
            process.kill()
            process.close()
    assert open_files() == before


def test_garbage_is_looked_for_in_processes_and_not_among_what_they_share(desk):
    (desk / "careful.py").write_text("import gc\nassert not gc.isenabled()\n")
    with ForkServer(["careful"], variables(desk)) as server:
        code = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 1000)"
        assert ended(server, "-c", code) == (0, "True True\n")


def test_it_is_ready_when_all_is_imported(desk):
    (desk / "late.py").write_text("import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n")
    with ForkServer(["preloaded", "late"], variables(desk)) as server:
        server.wait_until_ready()
        assert (desk / "imported").exists()
        assert ended(server, "-c", "print('begun')") == (0, "begun\n")
        os.kill(server._process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="and forks has died"):
            server.wait_until_ready()


WRITES = """
import os, tempfile, time
path = tempfile.NamedTemporaryFile(delete=False).name
assert os.path.dirname(path) == os.environ["TMPDIR"]
print(path, flush=True)
"""


@pytest.mark.parametrize("leaving", ["it is left", "it was killed who has entered"])
def test_what_its_processes_leave_in_temporary_files_goes_with_it(desk, tmp_path, leaving):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    if leaving == "it is left":
        with ForkServer((), variables(desk, TMPDIR=str(temporary))) as server:
            code, path = ended(server, "-c", WRITES)
            assert (code, Path(path.strip()).exists()) == (0, True)
            assert temporary in Path(path).parents
            process = begin(server, f"{WRITES}{HANG}")
            until(lambda: len([*temporary.glob("*/*")]) == 2)
        process.close()
    else:
        with starter(desk, tmp_path / "lock", "", f"{WRITES}{HANG}", TMPDIR=str(temporary)) as process:
            until(lambda: [*temporary.glob("*/*")])
            process.kill()
            process.wait()
    until(lambda: not [*temporary.iterdir()])


def test_leaving_does_not_wait_for_imports(desk):
    (desk / "endless.py").write_text(f"{HANG}\n")
    with ForkServer(["endless"], variables(desk)) as server:
        pass
    assert server._process.returncode == -signal.SIGKILL


def test_a_script_that_starts_python_is_ended_with_what_it_has_started(desk, tmp_path):
    begun = tmp_path / "begun"
    (desk / "begins.py").write_text(f"import os\nopen({str(begun)!r}, 'w').write(str(os.getpid()))\n{HANG}\n")

    def command(module, *arguments):
        return ["sh", "-c", '"$0" "$@"; exit', sys.executable, "-m", module, *arguments]

    with ForkServer(["begins"], variables(desk), command) as server:
        until(lambda: begun.exists() and begun.read_text())
        importing = psutil.Process(int(begun.read_text()))
        assert importing.ppid() == server._process.pid
    until(lambda: has_ended(importing))


def test_a_signal_that_is_sent_to_all_processes_of_a_job_does_not_end_it(desk):
    with ForkServer((), variables(desk)) as server:
        server.wait_until_ready()
        os.kill(server._process.pid, signal.SIGTERM)
        assert ended(server, "-c", "print('begun')") == (0, "begun\n")


def test_modules_that_cannot_be_imported_are_named(desk, capfd):
    with (
        ForkServer(["preloaded", "no_such_module"], variables(desk)) as server,
        pytest.raises(
            RuntimeError,
            match=r"^the process that imports preloaded, no_such_module and forks has died \(ModuleNotFound.*\)$",
        ),
    ):
        begin(server, HANG)
    assert capfd.readouterr() == ("", "")
