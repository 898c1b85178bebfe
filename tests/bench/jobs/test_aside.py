import pytest

from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.jobs.trial import read

LOOPS = "from toys import plain, failing"

REFUSING = """
import sys
from pathlib import Path

import loop_bench

CORE, FOLDER = loop_bench, str(Path(loop_bench.__file__).parent)


class Refusing:
    # Finds nothing; fails where a file of the core imports something of ours that would be of the other revision.
    def find_spec(self, name, path=None, target=None):
        if sys.modules.get("loop_bench") is CORE:
            return
        frame = sys._getframe(1)
        while frame.f_globals["__name__"].partition(".")[0] in ("importlib", "pkgutil"):
            frame = frame.f_back
        if name.partition(".")[0] == "loop_bench" and frame.f_code.co_filename.startswith(FOLDER):
            if frame.f_code.co_name != "load":  # which imports what it is asked for
                raise AssertionError(f"{frame.f_code.co_filename}:{frame.f_lineno} imports {name}")


sys.meta_path.insert(0, Refusing())
"""

SUBJECT_AND_SIDE = """
import sys
from loop_bench.arms.server import Server

server = Server(None)

def ask(do, **what):
    answer = server._answer({"do": do, "what": what})
    assert "value" in answer, answer
    return answer["value"]

def call(number, method, *arguments):
    return ask("call", number=number, method=method, arguments=arguments)

SUBJECT = "loop_bench.experiments.run.subject:Subject"
SIDE = "loop_bench.experiments.equivalence.side:Side.made"
TRAINEE = "loop_bench.experiments.telemetry.trainee:Trainee"
FACTORY = "loop_bench.training:plain"
sys.path.insert(0, sys.argv[1])
began = ask("begin", makers=[SUBJECT, SIDE, TRAINEE], factory=FACTORY, paths=[sys.argv[1]])
assert sys.modules["loop_bench"] is not CORE
assert began["module"].startswith(sys.argv[1]), began

subject = ask("make", maker=SUBJECT, arguments=[FACTORY, "any", 0, {}, "before"])
call(subject, "warm_up")
assert len(call(subject, "start")) == 2
assert call(subject, "count", 3, False)["batches"] == 3
assert call(subject, "train", 3) > 0
call(subject, "watch")
call(subject, "train", 3)
call(subject, "traced")
call(subject, "described")
assert call(subject, "touch_seconds") > 0
assert call(subject, "work")["batches"] == 10

side = ask("make", maker=SIDE, arguments=[FACTORY, "any", 0, {}, "before"])
call(side, "run", 2)
assert len(call(side, "history")["loss"]) == 2
assert call(side, "lines") is None
places = range(len(call(side, "variables")))
call(side, "assign", places, call(side, "values", places))

trainee = ask("make", maker=TRAINEE, arguments=[FACTORY, "any", 0, {}, "before"])
call(trainee, "warm_up")
call(trainee, "start")
assert call(trainee, "train", 2, 0.1)["batches"] > 0
call(trainee, "trace", 2, sys.argv[1] + "/trace", 2, "mark")

failing = ask("make", maker=SUBJECT, arguments=["loop_bench.training:failing", "any", 0, {}, "before"])
call(failing, "start")
call(failing, "train", 5)
answer = server._answer({"do": "call", "what": {"number": failing, "method": "train", "arguments": [1]}})
assert answer["error"]["kind"] == "loop", answer
answer = server._answer({"do": "make", "what": {"maker": SIDE, "arguments": ["loop_bench.training:no", "any", 0, {}]}})
assert answer["error"]["kind"] == "usage", answer
"""

ELSEWHERE = """
import sys
from loop_bench.jobs.elsewhere import main
sys.path.insert(0, sys.argv[3])
code = main(sys.argv[1:])
assert sys.modules["loop_bench"] is not CORE
sys.exit(code)
"""


@pytest.fixture
def ours(tmp_path):
    """A folder with another package of our name, which has nothing but loops."""
    package = tmp_path / "loop_bench"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "training.py").write_text(LOOPS)
    return tmp_path


def test_what_serves_a_run_imports_nothing_of_another_revision(python, ours):
    done = python("-c", f"{REFUSING}\n{SUBJECT_AND_SIDE}", ours, cwd=ours)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "loop_bench" in line]
    assert (done.returncode, said) == (0, []), done.stdout + done.stderr  # older TensorFlow logs what it compiles


@pytest.mark.parametrize("fault", ["nan,batch=2", "nan,in=weights,batch=2", "scale=1000,in=learning_rate,batch=2"])
def test_a_trial_imports_nothing_of_another_revision(python, ours, fault):
    trial, path = make(fault), ours / "result.json"
    done = python("-c", f"{REFUSING}\n{ELSEWHERE}", trial.work, trial.model_dump_json(), ours, path, cwd=ours)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "loop_bench" in line]
    assert (done.returncode, said) == (0, []), done.stdout + done.stderr  # older TensorFlow logs what it compiles
    found = read(path, trial).found
    assert (found.ended, found.batches, found.struck) == ("whole", 4, (2,)), found.why


def make(fault):
    loop = {"loop": "before", "factory": "loop_bench.training:plain", "preset": "any", "seed": 0}
    return SurvivalTrial(**loop, fault=fault, ready=("nan",), batches=4)


def test_nothing_is_set_aside_for_loops_of_other_packages(python, ours):
    code = (
        "import sys\nimport loop_bench.errors\nfrom loop_bench.jobs.aside import set_aside\n"
        "set_aside('loop_bench_of_mine:make', [sys.argv[1]])\n"
        "set_aside('loop_bench.training:make', [])\n"
        "print('loop_bench.errors' in sys.modules)\n"
        "set_aside('loop_bench:make', [sys.argv[1]])\n"
        "print(*[name for name in sys.modules if name.startswith('loop_bench')])"
    )
    assert python("-c", code, ours, cwd=ours).stdout == "True\n\n"
