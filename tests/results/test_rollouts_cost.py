import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import dataset, sampler
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.rollout import Rollouts


@pytest.fixture(scope="module")
def cost(load_script):
    return load_script("rollouts/cost.py")


def test_the_plain_step_computes_what_the_folded_one_does(cost, monkeypatch):
    config = Config.preset("tiny", rollouts=2, sequence_length=5, vocabulary_size=23)
    data = dataset.load(config)
    networks = Networks(config, data.sizes)
    random = np.random.default_rng(0)
    for variable in networks.weights:
        variable.assign(variable + 0.4 * random.normal(size=variable.shape))
    most_likely = lambda logits, seed: tf.argmax(logits, axis=-1, output_type=tf.int32)  # noqa: E731
    monkeypatch.setattr(sampler, "inverse_cdf", most_likely)
    known = (*(tf.constant(each[:16]) for each in (data.tokens, data.character, data.scene)), tf.constant(0.8))
    plain = cost.PlainRollouts(networks, config)(*known)
    folded = Rollouts(networks.generator, networks.discriminator, most_likely, config, compiled=False)(
        *known, tf.constant(0), tf.constant(0)
    )
    np.testing.assert_allclose(plain, folded, rtol=1e-4)


def test_steps_are_timed_in_turns(cost):
    seen = []
    steps = {name: (lambda name=name: seen.append(name)) for name in "abc"}
    found = cost.time_in_turns(steps, 20)
    assert seen[:6] == ["a", "a", "b", "b", "c", "c"]
    assert all(sorted(seen[first : first + 3]) == ["a", "b", "c"] for first in range(6, len(seen), 3))
    assert len(set(map(tuple, np.reshape(seen[6:], [20, 3])))) > 3
    assert {len(samples) for samples in found.values()} == {20}
