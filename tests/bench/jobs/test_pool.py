import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import psutil
import pytest
from waiting import until

from loop_bench.errors import UsageError
from loop_bench.jobs import folder as folders
from loop_bench.jobs import pool
from loop_bench.jobs.attempt import REFUSED
from loop_bench.jobs.folder import locked
from loop_bench.jobs.forkserver import ForkServer
from loop_bench.jobs.pool import Death, Job

WRITE = "import pathlib, sys; pathlib.Path(sys.argv[-1]).write_text('whole')"
HANG = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
FORK = f"import os\nif not os.fork(): exec({HANG!r})\n"
"""A child that goes on for ten minutes, with the lock of its parent, by which `alive` finds it."""
ESCAPE = f"import os\nif os.fork(): exec({HANG!r})\nos.setsid()\n"
"""The rest is done by a child that nothing finds which ends its parent."""
BUSY = "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')"
"""Holds Python's lock for longer than anybody waits."""


def make(name, code, *arguments, time_limit=60.0):
    return Job(name, ("-c", code, *map(str, arguments)), f"the job {name}", time_limit)


def died(job, death):
    return json.dumps({"name": job.name, "how": death.how, "why": death.why})


def run(folder, *work, workers=2, preload=(), **more):
    """Has those that have left no result yet leave one, as the engine does."""
    with locked(folder) as place, ForkServer(preload, os.environ) as server:
        left = [job for job in work if not place.result(job.name).exists()]
        pool.run(server, left, place, workers, died, **more)
        return {job.name: place.result(job.name).read_text() for job in work}


def alive(folder):
    """Processes that hold a lock below a folder open, as each job does, and the run itself."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            paths = [Path(file.path) for file in process.open_files()]
            if any(path.name == folders.LOCK and path.is_relative_to(folder) for path in paths):
                found.append(process.pid)
    return found


def results(folder):
    """What is there: the file itself, not only what is in it."""
    return {path: (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.json")}


AFTER = """
import pathlib, time
deadline = time.monotonic() + 60
while not pathlib.Path({path!r}).exists():
    assert time.monotonic() < deadline
    time.sleep(0.005)
"""


def after(path, code):
    """Code that waits for a file first."""
    return AFTER.format(path=str(path)) + code


def test_every_job_leaves_a_result(tmp_path):
    work = [make(name, WRITE) for name in "abc"]
    told = []
    assert run(tmp_path / "new" / "folder", *work, done=told.append) == dict.fromkeys("abc", "whole")
    assert sorted(job.title for job in told) == ["the job a", "the job b", "the job c"]


def test_a_job_with_a_result_is_not_begun_again(tmp_path):
    (tmp_path / "a.json").write_text("from before")
    there = results(tmp_path)
    told = []
    assert run(tmp_path, make("a", WRITE), make("b", WRITE), done=told.append) == {"a": "from before", "b": "whole"}
    assert [job.name for job in told] == ["b"]
    assert results(tmp_path).items() >= there.items()


def test_a_job_without_a_result_is_begun_again(tmp_path):
    (tmp_path / ".a.json.123").write_text("half of")  # as write_whole leaves it when it is killed
    assert run(tmp_path, make("a", WRITE)) == {"a": "whole"}


def test_nothing_to_do(tmp_path):
    assert run(tmp_path) == {}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("print('begun')\ndef f():\n    raise ValueError('no good')\nf()", "ValueError: no good"),
        ("import sys; sys.exit('error: no good')", "no good"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL, as the system does when"),
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 6)", f"killed by signal {signal.SIGRTMIN + 6}"),
        ("import os; os._exit(0)", "ended with code 0 and without a result"),
        ("print('all is well')", "ended with code 0 and without a result"),
        ("import os; os._exit(3)", "ended with code 3 and without a result"),
        ("import os; os._exit(2)", "ended with code 2 and without a result"),  # not what main returns when it refuses
        (r"import os; os.write(2, b'\xff is no UTF-8\n\n'); os._exit(3)", "\N{REPLACEMENT CHARACTER} is no UTF-8"),
        ("import os; os.write(1, b'x' * 10_000_000); os._exit(3)", "xxx"),
    ],
)  # fmt: skip
def test_a_job_that_dies_gets_a_result_that_says_of_what(tmp_path, code, why):
    no_core = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    told = []
    found = run(tmp_path, make("a", no_core + code), make("b", WRITE), done=told.append)
    death = json.loads(found["a"])
    assert (death["name"], death["how"]) == ("a", "crashed")
    assert death["why"].startswith(why)
    assert len(death["why"]) <= 10_000
    assert found["b"] == "whole"
    assert sorted(job.name for job in told) == ["a", "b"]


def test_a_death_says_how_long_it_lived(tmp_path):
    deaths = []

    def note(job, death):
        deaths.append(death)
        return ""

    with locked(tmp_path) as place, ForkServer((), os.environ) as server:
        pool.run(server, [make("a", "raise SystemExit(1)")], place, 1, note)
    assert deaths == [Death("crashed", "ended with code 1 and without a result", deaths[0].seconds)]
    assert 0 < deaths[0].seconds < 60


def test_a_job_is_ended_at_its_time_limit(tmp_path):
    deaths = []
    with locked(tmp_path) as place, ForkServer((), os.environ) as server:
        pool.run(server, [make("a", HANG, time_limit=1.0)], place, 1, lambda job, death: deaths.append(death) or "")
    assert deaths[0].how == "timed out"
    assert 1.0 <= deaths[0].seconds < 8.0  # however slow the machine is: not some other limit


def test_a_result_counts_whatever_the_job_did_afterwards(tmp_path):
    crashing = make("a", f"{WRITE}\nimport os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    refusing = make("b", f"{WRITE}\nraise SystemExit({REFUSED})")
    hanging = make("c", f"{WRITE}\n{HANG}", time_limit=2.0)
    assert run(tmp_path, crashing, refusing, hanging) == dict.fromkeys("abc", "whole")


def test_a_job_that_hangs_is_ended_with_its_children(tmp_path):
    begun = tmp_path / "begun"
    code = f"{FORK}open({str(begun)!r}, 'w').close()\n{HANG}"
    told = []
    found = run(tmp_path / "results", make("a", code, time_limit=2.0), make("b", WRITE), done=told.append)
    assert json.loads(found["a"]) == {"name": "a", "how": "timed out", "why": "took longer than 2 s and was ended"}
    assert found["b"] == "whole"
    assert begun.exists()
    assert [job.name for job in told] == ["b", "a"]
    until(lambda: not alive(tmp_path))


def test_each_job_has_a_time_of_its_own(tmp_path):
    slow = f"import time; time.sleep(1.5)\n{WRITE}"
    started = time.monotonic()
    found = run(tmp_path, make("a", BUSY, time_limit=0.5), make("b", slow), make("c", HANG, time_limit=0.75))
    assert time.monotonic() - started < 55
    assert json.loads(found["a"])["why"] == "took longer than 0.5 s and was ended"
    assert found["b"] == "whole"
    assert json.loads(found["c"])["why"] == "took longer than 0.75 s and was ended"


@pytest.mark.parametrize("end", [WRITE, "raise ValueError", "os.kill(os.getpid(), 9)"])
def test_no_child_outlives_its_job(tmp_path, end):
    run(tmp_path, make("a", FORK + end))
    until(lambda: not alive(tmp_path))


def test_what_was_asked_wrong_ends_everything(tmp_path):
    begun, never = tmp_path / "begun", tmp_path / "never"
    folder = tmp_path / "results"
    refusing = make(
        "a", after(begun, f"print('Traceback\\nerror: loop x: there is none')\nraise SystemExit({REFUSED})")
    )
    hanging = make("b", f"open({str(begun)!r}, 'w').close()\n{HANG}")
    later = [make(f"c{n}", f"open({str(never)!r}, 'w').close()\n{HANG}") for n in range(3)]
    told = []
    with pytest.raises(UsageError, match=r"^loop x: there is none") as caught:
        run(folder, refusing, hanging, *later, done=told.append)
    assert str(caught.value) == "loop x: there is none"
    assert caught.value.__notes__ == ["printed by the process of this trial:\nTraceback"]
    assert not told
    assert not results(folder)
    assert not alive(tmp_path)
    assert run(folder, make("a", WRITE)) == {"a": "whole"}


def test_as_many_work_at_once_as_there_are_workers(tmp_path):
    log = tmp_path / "log"
    code = (
        "import os, sys, time\n"
        "log = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND | os.O_CREAT)\n"
        "os.write(log, b'+')\n"
        "while os.pread(log, 99, 0).count(b'+') < 3: time.sleep(0.005)\n"  # until there have been as many
        "time.sleep(0.1)\n"  # for one too many to be seen
        "os.write(log, b'-')\n"
    )
    run(tmp_path / "results", *(make(str(n), code + WRITE, log) for n in range(9)), workers=3)
    change = [{"+": 1, "-": -1}[each] for each in log.read_text()]
    assert len(change) == 18
    assert max(np.cumsum(change)) == 3


def test_jobs_have_the_variables_that_are_given(tmp_path, monkeypatch):
    monkeypatch.setenv("OURS", "1")
    code = "import os, pathlib, sys; pathlib.Path(sys.argv[-1]).write_text(os.environ['OURS'] + os.environ['THEIRS'])"
    assert run(tmp_path, make("a", code), environment={"THEIRS": "2"}) == {"a": "12"}


def test_jobs_begin_with_modules_that_are_imported_once(tmp_path, monkeypatch):
    (tmp_path / "preloaded.py").write_text("import os\nby, state = os.getpid(), []")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path.cwd()}")
    code = (
        "import os, pathlib, sys\n"
        "module = sys.modules['preloaded']\n"
        "pathlib.Path(sys.argv[-1]).write_text(f'{module.by} {module.by == os.getppid()} {module.state}')\n"
        "module.state.append(1)"
    )
    work = [make(name, code) for name in "abc"]
    (what,) = {*run(tmp_path / "results", *work, preload=["preloaded"]).values()}
    assert what.endswith(" True []")


def test_a_server_that_dies_is_no_jobs_fault(tmp_path):
    killing = make("a", "import os; os.kill(os.getppid(), 9); import time; time.sleep(600)")
    with pytest.raises(RuntimeError, match=r"^the process that .*forks has died"):
        run(tmp_path, killing, make("b", WRITE), workers=1)
    until(lambda: not alive(tmp_path))
    assert "a.json" not in {path.name for path in results(tmp_path)}
    assert run(tmp_path, make("b", WRITE)) == {"b": "whole"}


def test_an_interrupted_run_leaves_whole_results_and_resumes(tmp_path):
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    folder = tmp_path / "results"
    first = make("a", after(begun, WRITE))
    waiting = [
        make(name, f"{FORK}open({str(begun)!r}, 'w').close()\n{after(go_on, WRITE)}") for name in "bcd"
    ]  # fmt: skip

    def interrupt(job):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, first, *waiting, done=interrupt)
    until(lambda: not alive(tmp_path))
    there = results(folder)
    assert [path.name for path in there] == ["a.json"]
    go_on.touch()
    assert run(folder, first, *waiting) == dict.fromkeys("abcd", "whole")
    assert results(folder).items() >= there.items()


def test_a_folder_is_for_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "WAITED", 0.1)
    work = [make(name, WRITE) for name in "ab"]
    refused = []

    def run_too(job):
        with pytest.raises(UsageError) as caught:
            run(tmp_path, *work)
        refused.append(str(caught.value))

    assert run(tmp_path, *work, done=run_too) == dict.fromkeys("ab", "whole")
    assert refused == [f"folder {tmp_path}: is in use by another run; wait for it, or end it"] * 2
    run(tmp_path, *work)


def test_a_run_in_the_same_process_may_follow_an_interrupted_one_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "WAITED", 0.0)

    def interrupt(job):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, make("a", WRITE), make("b", HANG), done=interrupt)
    assert run(tmp_path, make("b", WRITE)) == {"b": "whole"}


@pytest.mark.parametrize("below", ["file", "file/folder"])
def test_a_folder_that_cannot_be_written(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=rf"^folder .*{below}: cannot be written \(.*\)$"):
        run(tmp_path / below, make("a", WRITE))


RUN = """
import json, os, sys
from pathlib import Path
from loop_bench.jobs import pool
from loop_bench.jobs.folder import locked
from loop_bench.jobs.forkserver import ForkServer

work = json.loads(sys.argv[2])
with locked(Path(sys.argv[1])) as folder, ForkServer((), os.environ) as server:
    pool.run(
        server,
        [pool.Job(name, tuple(given), name) for name, given in work.items() if not folder.result(name).exists()],
        folder, 2, lambda job, death: f"died: {death}",
    )
"""


@contextlib.contextmanager
def another(folder, *work):
    """A process that runs jobs."""
    described = json.dumps({job.name: job.arguments for job in work})
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, folder, described], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_ctrl_c_ends_the_jobs_too(tmp_path):
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    folder = tmp_path / "results"
    first = make("a", after(begun, WRITE))
    waiting = [make(name, f"open({str(begun)!r}, 'w').close()\n{after(go_on, WRITE)}") for name in "bc"]
    with another(folder, first, *waiting) as process:
        until(lambda: begun.exists() and (folder / "a.json").exists())
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert output.splitlines()[-1] == "KeyboardInterrupt"
    assert not alive(tmp_path)
    there = results(folder)
    assert [path.name for path in there] == ["a.json"]
    go_on.touch()
    assert run(folder, first, *waiting) == dict.fromkeys("abc", "whole")
    assert results(folder).items() >= there.items()


DIE = "from loop_bench.jobs.parent import die_with_parent; die_with_parent()\n"


def test_no_job_outlives_a_killed_run(tmp_path):
    begun = [tmp_path / "begun a", tmp_path / "begun b"]
    sleeping = make("a", f"{DIE}{FORK}open({str(begun[0])!r}, 'w').close()\n{HANG}")
    busy = make("b", f"{DIE}open({str(begun[1])!r}, 'w').close()\nwhile True: pass")
    with another(tmp_path / "results", sleeping, busy) as process:
        until(lambda: all(path.exists() for path in begun))
        until(lambda: len(alive(tmp_path)) == 4)  # the run, its jobs, and the child of one of them
        process.kill()
        process.wait()
        until(lambda: not alive(tmp_path))
    assert not results(tmp_path / "results")


@pytest.mark.parametrize("code", [DIE + BUSY, BUSY, HANG], ids=["holds Python's lock", "and does not watch", "sleeps"])
def test_not_even_a_job_that_cannot_notice_it(tmp_path, code):
    begun = tmp_path / "begun"
    with another(tmp_path / "results", make("a", f"open({str(begun)!r}, 'w').close()\n{code}")) as process:
        until(begun.exists)
        until(lambda: len(alive(tmp_path)) == 2)  # the server lets go of what it has given a job after the job has it
        process.kill()
        process.wait()
        until(lambda: not alive(tmp_path))
    assert not results(tmp_path / "results")


def test_a_run_waits_for_the_jobs_of_a_killed_one(tmp_path, monkeypatch):
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    folder = tmp_path / "results"
    stubborn = make("a", f"{ESCAPE}open({str(begun)!r}, 'w').close()\n{after(go_on, WRITE)}")
    with another(folder, stubborn) as process:
        until(begun.exists)
        process.kill()
        process.wait()
    monkeypatch.setattr(folders, "WAITED", 0.1)
    with pytest.raises(UsageError, match="is in use by another run"):
        run(folder, stubborn)
    monkeypatch.setattr(folders, "WAITED", 60.0)
    go_on.touch()
    begun.unlink()
    assert run(folder, stubborn) == {"a": "whole"}
    assert not begun.exists()  # the one that there was has left the result


TINY = """
import fcntl, os, sys, time
from pathlib import Path
from loop_bench.jobs.parent import die_with_parent
from loop_bench.writing import write_whole

desk, name, result = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[-1])
log = os.open(desk / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
die_with_parent()
own = os.open(desk / name, os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    os.write(log, f"clash {name}\\n".encode())
os.write(log, f"{'again' if result.exists() else 'begun'} {name}\\n".encode())
write_whole(result, f"of {name}\\n" * 10_000)
time.sleep(0.02)
os._exit(0)
"""


@pytest.mark.slow
def test_a_run_killed_at_any_moment_resumes(tmp_path):
    random = np.random.default_rng(0)
    desk, folder = tmp_path / "desk", tmp_path / "results"
    desk.mkdir()
    work = [make(f"{number:02}", TINY, desk, f"{number:02}") for number in range(24)]
    kills = 0
    while True:
        there = results(folder)
        with another(folder, *work) as process:
            last = kills == 6
            enough = len(there) + random.integers(0, 5)
            until(lambda: process.poll() is not None or (not last and len([*folder.glob("*.json")]) >= enough))  # noqa: B023
            for _ in range(random.integers(0, 1_000_000)):  # some moment after that
                pass
            at_the_end = results(folder)
            process.kill()
            output, _ = process.communicate()
        assert at_the_end.items() >= there.items()
        if kills % 2:  # else the next run meets those that are about to end
            until(lambda: not alive(tmp_path))
        assert results(folder).items() >= at_the_end.items()
        if process.returncode != -signal.SIGKILL:
            break
        kills += 1
    assert (process.returncode, output) == (0, "")
    assert kills >= 4
    assert {path.name: path.read_text() for path in folder.glob("*.json")} == {
        f"{job.name}.json": f"of {job.name}\n" * 10_000 for job in work
    }
    log = (desk / "log").read_text().splitlines()
    assert {line.split()[0] for line in log} == {"begun"}  # and neither again nor clash
    assert {line.split()[1] for line in log} == {job.name for job in work}
    assert len(log) <= len(work) + 2 * kills


@pytest.mark.parametrize(
    ("gpus", "gibibytes", "workers"),
    [
        ([], 100, 3),
        ([], 6, 3),
        ([], 5.9, 2),
        ([], 1, 1),
        ([], 0, 1),
        ([{"name": "a GPU"}], 100, 1),
    ],
)
def test_a_process_has_a_core_and_memory_and_no_other_on_its_gpu(monkeypatch, gpus, gibibytes, workers):
    memory = types.SimpleNamespace(available=int(gibibytes * 2**30))
    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(pool.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(pool.environment, "state", lambda: {"gpus": gpus})
    assert pool.workers() == workers
