import numpy as np
import pytest

from loop_bench.seqgan.oracle import Oracle


@pytest.fixture(scope="module")
def oracle(tiny):
    return Oracle(tiny, seed=3)


def test_same_seed_same_lines(tiny, oracle):
    for first, second in zip(oracle.lines(300), Oracle(tiny, seed=3).lines(300), strict=True):
        np.testing.assert_array_equal(first, second)


def test_lines_have_the_shapes_and_ids_asked_for(tiny, oracle):
    tokens, character, scene = oracle.lines(300)  # more than a batch, and not a whole number of them
    assert tokens.shape == (300, tiny.sequence_length)
    assert 0 <= tokens.min() < tokens.max() < tiny.vocabulary_size
    assert set(character) == set(range(tiny.characters))
    assert set(scene) == set(range(tiny.scenes))


def test_rates_its_own_lines_likelier_than_others(tiny, oracle):
    tokens, character, scene = oracle.lines(300)
    own = oracle.nll(tokens, character, scene)
    uniform = np.random.default_rng(0).integers(tiny.vocabulary_size, size=tokens.shape, dtype=np.int32)
    assert own < oracle.nll(uniform, character, scene) - 1.0
    assert own < oracle.nll(tokens, (character + 1) % tiny.characters, scene)


def test_nll_is_exact(tiny, oracle):
    """Compares with the chain rule in NumPy, for a single line."""
    tokens, character, scene = (values[:1] for values in oracle.lines(300))
    logits = oracle._network(tokens, character, scene).numpy().astype(float)[0]
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -log_p[np.arange(tiny.sequence_length), tokens[0]].mean()
    assert oracle.nll(tokens, character, scene) == pytest.approx(expected, rel=1e-4)


def test_another_stream_has_other_lines(oracle):
    tokens, character, _ = oracle.lines(300)
    others, other_characters, _ = oracle.lines(300, stream=1)
    assert np.any(character != other_characters)
    assert not {*map(tuple, tokens.tolist())} & {*map(tuple, others.tolist())}
