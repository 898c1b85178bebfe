import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.injection import GradientInjection
from loop_bench.seqgan import cli
from loop_bench.seqgan.pretraining import Pretraining

QUICK = ["--preset", "tiny", "--set", "jit_compile=false", "--set", "epochs=1", "--set", "mle_epochs=1"]
# Tracing takes most of the time, so that graphs are as few and as small as can be.
SMALLEST = ["d_epochs=0", "protection=none", "filter_widths=2", "calls=three"]
QUICKEST = [*QUICK, *(part for setting in SMALLEST for part in ("--set", setting))]


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["seqgan", *map(str, arguments)])
        try:
            code = cli.main()
        except SystemExit as error:
            code = error.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.mark.parametrize("extra", ["seqgan", "tensorflow"])
def test_what_is_not_installed_is_one_line(run, lacking, extra):
    lacking(extra)
    code, out, err = run("train", *QUICK)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"pip install 'loop-bench[{extra}]' brings it" in err


@pytest.fixture(scope="module")
def trained(tmp_path_factory, python):
    folder = tmp_path_factory.mktemp("trained")
    done = python("-m", "loop_bench.seqgan", "train", *QUICKEST, "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_trains_and_samples(run, trained):
    assert len(pd.read_csv(trained / "history.csv")) == 40
    code, out, _ = run("sample", "--checkpoint", trained, "--character", "1", "--scene", "2", "-n", 3)
    assert code == 0
    assert [len(line.split()) for line in out.splitlines()] == [10, 10, 10]


@pytest.mark.slow
def test_trains_in_all_phases_with_every_protection(run, tmp_path):
    code, _, err = run("train", *QUICK, "--out", tmp_path)
    assert (code, err) == (0, "")
    history = pd.read_csv(tmp_path / "history.csv")
    assert history.phase.value_counts().to_dict() == {"mle": 20, "discriminator": 20, "adversarial": 20}


def test_resumes_with_more_epochs(run, trained):
    code, out, _ = run("train", "--resume", "--out", trained, "--set", "epochs=2")
    assert code == 0
    assert "adversarial 2/2" in out
    assert "mle" not in out
    assert "ms/batch after that: min" in out
    assert "oracle NLL, nats per token: " in out
    code, out, _ = run("train", "--resume", "--out", trained)
    assert code == 0
    assert "is complete already" in out


@pytest.mark.slow
def test_trains_the_baseline_on_a_script(run, script, tmp_path):
    settings = ["--set", "epochs=1", "--set", "mle_epochs=1", "--set", "d_epochs=0"]
    code, out, _ = run(
        "train", "--loop", "baseline", "--preset", "tiny", "--script", script, "--out", tmp_path, *settings
    )
    assert code == 0
    assert "baseline loop" in out
    assert "2 characters, 3 scenes" in out
    code, out, _ = run("sample", "--checkpoint", tmp_path, "--character", "Ophelia", "--scene", "2.1")
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--preset", "huge"], "preset 'huge' is unknown; the presets are tiny, paper, script"),
        (["train", "--set", "batch=3"], "config field 'batch' is unknown (did you mean batch_size?)"),
        (["train", "--set", "epochs"], "--set epochs: must be FIELD=VALUE"),
        (["train", "--set", "epochs=many"], "config: epochs='many' must be a whole number of at least 0"),
        (["train", "--set", "jit_compile=maybe"], "config: jit_compile='maybe' must be true or false"),
        (["train", "--set", "filter_widths=2,x"], "config: filter_widths=(2, 'x') must be a list"),
        (["train", "--preset", "tiny", "--set", "clip_norm=-1"], "config: clip_norm=-1.0 must be a positive"),
        (["train", "--preset", "tiny", "--script", "none.csv"], "script none.csv: no such file"),
        (["train", "--preset", "tiny", "--script", "."], "script .: is a folder; name a file in it"),
        (
            ["train", "--preset", "tiny", "--script", "none.csv", "--columns", "who=A"],
            "--columns 'who=A': role 'who' is",
        ),
        (["train", "--preset", "tiny", "--script", "none.csv", "--delimiter", "::"], "--delimiter '::': must be one"),
        (["train", "--preset", "tiny", "--script", "none.csv", "--encoding", "x"], "--encoding 'x': unknown to Python"),
        (
            ["train", "--preset", "tiny", "--encoding", "latin-1"],
            "--encoding 'latin-1': says how a script is written; ",
        ),
        (["train", "--preset", "tiny", "--out", "/dev/null/x"], "--out /dev/null/x: cannot be written"),
        (["train", "--preset", "tiny", "--out", __file__], "is a file; must be a folder"),
        (["train", "--resume", "--out", "nowhere"], "checkpoint nowhere/checkpoint.npz: no such file"),
        (["sample", "--checkpoint", "nowhere", "--character", "A", "--scene", "1"], "nowhere/checkpoint.npz: no such"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, arguments, says):
    code, _, err = run(*arguments)
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--preset", "tiny"], "contains a run already; add --resume"),
        (["train", "--resume", "--seed", "3"], "--seed 3: cannot be changed with --resume"),
        (["train", "--resume", "--set", "hidden_size=8"], "--set hidden_size: cannot be changed with --resume"),
    ],
)
def test_a_run_is_not_overwritten(run, trained, arguments, says):
    before = (trained / "checkpoint.npz").read_bytes()
    code, _, err = run(*arguments, "--out", trained)
    assert code == 2
    assert says in err
    assert (trained / "checkpoint.npz").read_bytes() == before


def test_names_that_the_checkpoint_does_not_know(run, trained):
    code, _, err = run("sample", "--checkpoint", trained, "--character", "Yorick", "--scene", "1")
    assert (code, err) == (2, "error: character 'Yorick' is unknown to this checkpoint; it knows 0, 1, 2\n")
    code, _, err = run("sample", "--checkpoint", trained, "--character", "1", "--scene", "1", "--temperature", "0")
    assert (code, err) == (2, "error: --temperature 0.0: must be a positive finite number\n")


def test_changed_script_cannot_be_resumed(run, script, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(Pretraining, "generator_epoch", lambda *_: {"mle_loss": np.zeros(2)})  # what it is, is all one
    assert run("train", *QUICKEST, "--set", "epochs=0", "--script", script, "--out", out)[0] == 0
    script.write_text(script.read_text().replace("word", "sword"))
    code, _, err = run("train", "--resume", "--out", out)
    assert code == 2
    assert "differ from those of the checkpoint" in err


def test_the_format_of_a_script_is_kept_for_resuming(run, tmp_path, monkeypatch):
    out, script = tmp_path / "out", tmp_path / "s.csv"
    script.write_text("Who;Words\n" + "Änne;Hello, you\n" * 16, encoding="latin-1")
    monkeypatch.setattr(Pretraining, "generator_epoch", lambda *_: {"mle_loss": np.zeros(1)})
    written = ["--columns", "character=who,text=words", "--delimiter", ";", "--encoding", "latin-1"]
    code, shown, err = run("train", *QUICKEST, "--set", "epochs=0", "--script", script, *written, "--out", out)
    assert (code, err) == (0, "")
    assert "1 characters, 1 scenes" in shown
    moved = script.rename(tmp_path / "moved.csv")
    code, shown, err = run("train", "--resume", "--script", moved, "--out", out)
    assert (code, err) == (0, "")
    assert "is complete already" in shown
    code, _, err = run("train", "--resume", "--script", moved, "--delimiter", "tab", "--out", out)
    assert code == 2
    assert "separated by semicolons? --delimiter ';'" in err
    assert run("sample", "--checkpoint", out, "--character", "Änne", "-n", 1)[0] == 0


def test_a_scene_must_be_named_where_there_are_several(run, trained):
    code, _, err = run("sample", "--checkpoint", trained, "--character", "1")
    assert (code, err) == (2, "error: --scene is missing; the scenes of this checkpoint are 0, 1, 2, 3\n")


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "code"), [(5, 1), (100, 0)])
def test_skips_are_reported_and_too_many_end_training_in_one_line(run, tmp_path, limit, code):
    settings = ["--set", f"max_consecutive_skips={limit}", "--set", "d_epochs=0"]
    with GradientInjection(Fault("nan", target="discriminator")) as injection:
        injection.set(1.0)
        ended, out, err = run("train", *QUICK, *settings, "--out", tmp_path)
    assert ended == code
    if code:
        assert len(err.splitlines()) == 1
        assert err.startswith(
            "training stopped: epoch 1 of adversarial: discriminator: 5 updates in a row were skipped"
        )
        resume = "python -m loop_bench.seqgan train --resume"
        assert f"after epoch 1 of mle, is in {tmp_path}; resume from it with: {resume}" in err
    else:
        assert (
            "updates skipped for gradient norms or learning rates that were not finite, or ids that do not exist: 20\n"
        ) in out
        named = "0, 1, 2, 3, 4 and 15 more"
        assert f"adversarial batches in which an update of the discriminator was skipped: {named}\n" in out


@pytest.mark.slow
def test_interrupted_from_the_keyboard(tmp_path):
    """Ctrl-C keeps the last complete epoch, prints how to resume, and exits with code 130."""
    command = [
        sys.executable,
        "-u",
        "-m",
        "loop_bench.seqgan",
        "train",
        *QUICK[:4],
        "--set",
        "mle_epochs=5000",
        "--out",
        tmp_path,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_default_interrupt
    ) as process:
        for line in process.stdout:
            if line.startswith("mle 2/"):
                process.send_signal(signal.SIGINT)
                break
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-2].startswith("stopping after this batch")
    assert f"train --resume --out {tmp_path}" in err.splitlines()[-1]
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.npz", "history.csv"}
    epochs = pd.read_csv(tmp_path / "history.csv").epoch
    assert epochs.max() >= 1
    assert len(epochs) == 20 * (epochs.max() + 1)


def _default_interrupt():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgrp()
