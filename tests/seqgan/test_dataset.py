import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.seqgan import dataset
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.oracle import Oracle
from loop_bench.seqgan.vocabulary import Sizes, Vocabulary


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_shows_no_line_twice(lines, batch_size, seed, epoch):
    rows = np.zeros((lines, 2), np.int32)
    data = dataset.Dataset(rows, rows[:, 0], rows[:, 0], Vocabulary.synthetic(5, 1, 1))
    order = data.epoch_order(batch_size, seed, epoch)
    assert order.shape == (lines // batch_size, batch_size)
    assert len(set(order.ravel().tolist())) == order.size


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tokens": (7, 3, 200)}, r"line 7: token=200 must be at least 0 and below 200"),
        ({"tokens": (0, 9, -1)}, r"line 0: token=-1 must be at least 0"),
        ({"character": (5, 3)}, r"line 5: character=3 must be at least 0 and below 3"),
        ({"scene": (319, -2)}, r"line 319: scene=-2 must be at least 0 and below 4"),
    ],
)
def test_invalid_ids_are_refused_with_line_and_value(lines, change, says):
    ((name, (*place, value)),) = change.items()
    ids = getattr(lines, name).copy()
    ids[tuple(place)] = value
    with pytest.raises(InputError, match=says):
        dataclasses.replace(lines, **{name: ids})


def test_order_depends_on_seed_and_epoch(lines):
    orders = [lines.epoch_order(16, seed, epoch).tobytes() for seed in range(2) for epoch in range(2)]
    assert len(set(orders)) == 4
    assert orders[3] == lines.epoch_order(16, 1, 1).tobytes()


def test_synthetic_lines(tiny, lines):
    assert lines.tokens.shape == (tiny.lines, tiny.sequence_length)
    assert lines.sizes == Sizes(tiny.vocabulary_size, tiny.characters, tiny.scenes, ends=False)


def test_configs_with_the_same_data_share_the_lines_in_memory(tiny, lines):
    other = dataclasses.replace(tiny, clip_norm=1e9, keep_lines=True, sampler="inverse_cdf", batch_size=8)
    assert dataset.load(other) is dataset.load(tiny)
    assert dataset.load(dataclasses.replace(tiny, seed=tiny.seed + 1)) is not dataset.load(tiny)


def test_lines_are_drawn_from_no_other_field_of_the_config(tiny):
    looked_at = set()

    class Watched:
        def __getattr__(self, name):
            looked_at.add(name)
            return getattr(tiny, name)

    Oracle(Watched(), tiny.seed).lines(4)
    assert looked_at <= {*dataset.DRAWN_FROM}
    assert {*dataset.DRAWN_FROM} == looked_at | {"lines", "held_out", "seed"}


def test_script(tiny, script):
    data = dataset.load(tiny, script)
    assert data.tokens.shape == (40, tiny.sequence_length)
    assert data.sizes[1:] == (2, 3, True)
    first = data.vocabulary
    assert first.decode(data.tokens[3]) == "my lord, the word number 3 is spoken."  # cut before "go!"
    assert first.characters[data.character[3]] == "Ophelia"
    assert first.scenes[data.scene[3]] == "1.1"


def test_too_few_lines_for_a_batch(tiny, script):
    with pytest.raises(InputError, match=r"speeches=40 must be at least batch_size=64"):
        dataset.load(dataclasses.replace(tiny, batch_size=64), script)
    with pytest.raises(InputError, match=r"lines=8 must be at least batch_size=16"):
        dataset.load(dataclasses.replace(tiny, lines=8))


def rows(data):
    columns = (data.tokens.tolist(), data.character, data.scene)
    return {(*tokens, who, where) for tokens, who, where in zip(*columns, strict=True)}


def test_lines_of_a_script_that_are_held_out_are_not_trained_on(tiny, script):
    whole = dataset.load(tiny, script)
    data = dataset.load(dataclasses.replace(tiny, held_out=0.2), script)
    assert (len(data.tokens), len(data.held_out.tokens), whole.held_out) == (32, 8, None)
    assert rows(data) | rows(data.held_out) == rows(whole)
    assert not rows(data) & rows(data.held_out)
    assert data.vocabulary == whole.vocabulary
    other = dataset.load(dataclasses.replace(tiny, held_out=0.2, seed=1), script)
    assert rows(other.held_out) != rows(data.held_out)


def test_synthetic_lines_that_are_held_out_are_fresh_ones(tiny, lines):
    data = dataset.load(dataclasses.replace(tiny, held_out=0.25))
    np.testing.assert_array_equal(data.tokens, lines.tokens)
    assert data.held_out.tokens.shape == (80, tiny.sequence_length)
    assert not rows(data.held_out) & rows(data)


def test_lines_without_the_held_out_ones_must_fill_a_batch(tiny, script):
    with pytest.raises(InputError, match=r"speeches=12 must be at least batch_size=16"):
        dataset.load(dataclasses.replace(tiny, held_out=0.7), script)
