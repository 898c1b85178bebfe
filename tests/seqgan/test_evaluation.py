import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.extras import MissingExtraError
from loop_bench.seqgan import dataset, evaluation
from loop_bench.seqgan.evaluation import Evaluation, bleu, oracle_nll, self_bleu
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.pretraining import Pretraining


@pytest.mark.slow
def test_what_is_learned_lowers_the_nll_towards_the_oracles_own(tiny, lines):
    networks = Networks(tiny, lines.sizes)
    before, own = oracle_nll(tiny, lines, networks.generator)
    training = Pretraining(tiny, lines, networks)
    for epoch in range(8):
        training.generator_epoch(epoch)
    after, same = oracle_nll(tiny, lines, networks.generator)
    assert own == same
    assert own < after < before - 0.5


def made(config, script):
    """An evaluation of a fresh generator."""
    data = dataset.load(config, script)
    networks = Networks(config, data.sizes)
    return Evaluation(config, data, networks.generator), data, networks


def synthetic(config, data):
    """An evaluation of a fresh generator of synthetic lines."""
    return Evaluation(config, data, Networks(config, data.sizes).generator)


@pytest.fixture(scope="module")
def rater(tiny, lines):
    return synthetic(tiny, lines)


def test_synthetic_lines_are_rated_by_the_oracle(rater):
    found = rater.now()
    assert list(found) == [evaluation.ORACLE_NLL]
    assert found == rater.now()  # the same lines are drawn


def test_held_out_nll_is_that_of_a_generator_that_knows_nothing(tiny, lines, monkeypatch):
    monkeypatch.setattr(Evaluation, "oracle_nll", lambda self: 5.0)
    found = synthetic(tiny, dataclasses.replace(lines, held_out=lines)).now()
    assert list(found) == [evaluation.ORACLE_NLL, evaluation.HELD_OUT_NLL]
    assert found[evaluation.HELD_OUT_NLL] == pytest.approx(np.log(tiny.vocabulary_size), abs=0.05)


def test_held_out_nll_is_a_mean_over_words_and_not_over_padding(tiny, script, monkeypatch):
    monkeypatch.setattr(evaluation, "_LINES_PER_READ", 3)
    rater, data, networks = made(dataclasses.replace(tiny, held_out=0.2, sequence_length=20, batch_size=8), script)
    out = data.held_out
    logits = networks.generator(*map(tf.constant, (out.tokens, out.character, out.scene)))
    nll = tf.nn.sparse_softmax_cross_entropy_with_logits(out.tokens, logits).numpy()
    lengths = [line.index(2) + 1 for line in out.tokens.tolist()]  # END is a prediction too
    expected = sum(row[:length].sum() for row, length in zip(nll, lengths, strict=True)) / sum(lengths)
    assert rater.held_out_nll(out) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_script_is_rated_by_bleu_against_lines_held_out_or_else_trained_on(tiny, script):
    small = dataclasses.replace(tiny, batch_size=8)
    assert list(made(small, script)[0].now()) == [evaluation.BLEU_TRAINING, evaluation.SELF_BLEU]
    held_out = made(dataclasses.replace(small, held_out=0.2), script)[0].now()
    assert list(held_out) == [evaluation.HELD_OUT_NLL, evaluation.BLEU_HELD_OUT, evaluation.SELF_BLEU]
    assert all(0 <= value <= 1 for name, value in held_out.items() if "BLEU" in name)


def test_bleu_takes_words_up_to_the_end_of_a_line(tiny, script, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluation, "bleu", lambda lines, references: asked.append((lines, references)) or 0.0)
    monkeypatch.setattr(evaluation, "self_bleu", lambda lines: 0.0)
    monkeypatch.setattr(evaluation, "REFERENCES", 3)
    rater, data, _ = made(dataclasses.replace(tiny, sequence_length=20), script)
    rater.bleu()
    ((lines, references),) = asked
    assert [data.vocabulary.decode(line) for line in references] == [
        f"my lord, the word number {number} is spoken. go!" for number in range(3)
    ]
    assert not {token for line in [*lines, *references] for token in line} & {0, 2}


def test_lines_are_drawn_at_the_evaluation_temperature_and_not_at_the_loops(tiny, lines, rater):
    other = synthetic(dataclasses.replace(tiny, temperature_start=9.0, temperature_fixed=0.1), lines)
    np.testing.assert_array_equal(rater.generate(), other.generate())
    # As good as no choice: of a generator that knows nothing all the same lines for the same character and scene.
    cold = synthetic(dataclasses.replace(tiny, evaluation_temperature=1e-6), lines).generate()
    assert len(np.unique(cold, axis=0)) <= tiny.characters * tiny.scenes
    assert len(np.unique(rater.generate(), axis=0)) > 300


SCRIPT = [["to", "be", "or", "not", "to", "be"], ["that", "is", "the", "question"]]


def test_a_line_of_the_script_scores_one_and_foreign_words_zero():
    assert bleu([SCRIPT[0]], SCRIPT) == pytest.approx(1.0)
    assert bleu([["words", "words", "words"]], SCRIPT) == 0.0
    assert bleu([SCRIPT[0], ["words"]], SCRIPT) == pytest.approx(0.5)  # the mean over lines


def test_more_in_common_scores_higher_even_without_any_four_words():
    some, fewer = bleu([["to", "be", "the", "question"]], SCRIPT), bleu([["to", "words", "the", "words"]], SCRIPT)
    assert 1 > some > fewer > 0


def test_a_line_is_never_its_own_reference():
    assert self_bleu([["a", "b", "c", "d"], ["e", "f", "g", "h"]]) == 0.0
    assert self_bleu([["a", "b", "c", "d"], ["a", "b", "c", "d"]]) == pytest.approx(
        1.0
    )  # of another that says the same


def test_an_empty_line_scores_zero():
    assert bleu([[]], SCRIPT) == 0.0


@pytest.mark.parametrize("score", [lambda: bleu([], SCRIPT), lambda: bleu(SCRIPT, []), lambda: self_bleu(SCRIPT[:1])])
def test_scores_without_lines_to_compare_raise(score):
    with pytest.raises(ValueError, match="needs lines, and references"):
        score()


def test_bleu_names_the_extra_that_it_needs(lacking):
    lacking("seqgan")
    with pytest.raises(MissingExtraError, match=r"pip install 'loop-bench\[seqgan\]' brings it"):
        bleu([["words"]], SCRIPT)
