import dataclasses

import pandas as pd
import pytest

from loop_bench.seqgan import dataset
from loop_bench.seqgan.checkpoint import Checkpoint, variable_name
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.networks import Networks, write_lines
from loop_bench.seqgan.script import ScriptFile


@pytest.fixture(scope="module")
def checkpoint(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "s.csv"
    path.write_text("character,scene,text\n" + "".join(f"A,{n % 2},one two three {n}\n" for n in range(20)))
    config = dataclasses.replace(tiny, vocabulary_size=8)  # most words are unknown
    data = dataset.load(config, path)
    state = {variable_name(v): v.numpy() for v in Networks(config, data.sizes).variables}
    return Checkpoint(config, data.vocabulary, "optimized", ScriptFile(str(path)), "mle", 0, pd.DataFrame(), state)


@pytest.fixture(scope="module")
def written(checkpoint):
    return write_lines(checkpoint, "A", "1", 20, 1.0, seed=0)


def test_lines_of_known_words(checkpoint, written):
    assert len(written) == 20
    assert {word for line in written for word in line.split()} <= set(checkpoint.vocabulary.words[3:])


def test_same_seed_same_lines(checkpoint, written):
    assert written == write_lines(checkpoint, "A", "1", 20, 1.0, seed=0)
    assert written != write_lines(checkpoint, "A", "1", 20, 1.0, seed=1)


def test_unknown_names(checkpoint):
    with pytest.raises(InputError, match="character 'B' is unknown"):
        write_lines(checkpoint, "B", "1", 5, 1.0, seed=0)
    with pytest.raises(InputError, match="scene '7' is unknown"):
        write_lines(checkpoint, "A", "7", 5, 1.0, seed=0)
