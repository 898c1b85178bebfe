import dataclasses
import os

import numpy as np
import pandas as pd
import pytest

from loop_bench.seqgan import checkpoint as checkpoints
from loop_bench.seqgan.checkpoint import FILE, HISTORY_FILE, Checkpoint
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.script import ScriptFile

SCRIPT = ScriptFile("s.csv", columns="character=Who", delimiter=";", encoding="latin-1")


@pytest.fixture(scope="module")
def networks(tiny, lines):
    return Networks(tiny, lines.sizes)


@pytest.fixture
def made(tiny, lines, networks):
    history = pd.DataFrame({"phase": "mle", "epoch": 0, "batch": [0, 1], "mle_loss": [5.1234567, 1 / 3]})
    state = {checkpoints.variable_name(v): v.numpy().copy() for v in networks.variables}
    return Checkpoint(tiny, lines.vocabulary, "optimized", SCRIPT, "mle", 0, history, state)


def test_loads_what_was_saved(made, tmp_path):
    made.save(tmp_path)
    found = Checkpoint.load(tmp_path)
    assert (found.config, found.vocabulary) == (made.config, made.vocabulary)
    assert (found.loop, found.script, found.phase, found.epoch) == ("optimized", SCRIPT, "mle", 0)
    pd.testing.assert_frame_equal(found.history, made.history)
    assert {name: value.tobytes() for name, value in found.state.items()} == {
        name: value.tobytes() for name, value in made.state.items()
    }
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / HISTORY_FILE), made.history)


def test_lines_of_the_oracle_come_from_no_script(made, tmp_path):
    dataclasses.replace(made, script=None).save(tmp_path)
    assert Checkpoint.load(tmp_path).script is None


def test_restores_variables(made, tmp_path, tiny, lines):
    made.save(tmp_path)
    networks = Networks(tiny, lines.sizes)
    for variable in networks.variables:
        variable.assign(np.zeros(variable.shape))
    Checkpoint.load(tmp_path).restore(networks.variables)
    for variable in networks.variables:
        np.testing.assert_array_equal(variable.numpy(), made.state[variable.path])


def test_names_of_variables_are_unique(networks):
    names = [checkpoints.variable_name(v) for v in networks.variables]
    assert len(set(names)) == len(names)


def test_never_writes_what_is_not_finite(made, tmp_path):
    made.save(tmp_path)
    good = (tmp_path / FILE).read_bytes()
    next(value for name, value in made.state.items() if name.startswith("generator/"))[...] = np.nan
    with pytest.raises(FloatingPointError, match=r"generator/.* not finite"):
        made.save(tmp_path)
    assert (tmp_path / FILE).read_bytes() == good


def test_missing(tmp_path):
    with pytest.raises(InputError, match=r"checkpoint\.npz: no such file"):
        Checkpoint.load(tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.999])
def test_truncated(made, tmp_path, keep):
    made.save(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    with pytest.raises(InputError, match="damaged, or not a checkpoint"):
        Checkpoint.load(tmp_path)


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_checkpoint_of_another_version_is_refused(made, tmp_path, monkeypatch, version):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_FORMAT", version)
        made.save(tmp_path)
    with pytest.raises(InputError, match="written by another version of this program"):
        Checkpoint.load(tmp_path)


def test_file_in_place_of_its_folder(made, tmp_path):
    made.save(tmp_path)
    with pytest.raises(InputError, match=r"checkpoint\.npz: is a file; name the folder"):
        Checkpoint.load(tmp_path / FILE)


def test_a_checkpoint_of_other_networks_is_refused(made, tmp_path, tiny, lines):
    made.save(tmp_path)
    bigger = Networks(tiny, lines.sizes._replace(characters=9))
    with pytest.raises(InputError, match="generator/character_embedding"):
        Checkpoint.load(tmp_path).restore(bigger.weights)


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_writing_is_all_or_nothing(tmp_path, monkeypatch, broken):
    target = tmp_path / "file"
    checkpoints.write_whole(target, b"old")

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os if broken == "fsync" else checkpoints.Path, broken, fail)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write_whole(target, b"new and longer")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
