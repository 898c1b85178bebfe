import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.loop import OptimizedLoop
from loop_bench.seqgan.policy import SampledPass, SecondPass


@pytest.fixture
def make(tiny, lines):
    return lambda **changes: OptimizedLoop(dataclasses.replace(tiny, **changes), lines)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SampledPass),
        ({"policy_gradient": "second_pass"}, SecondPass),
        ({"calls": "three"}, SecondPass),
        ({"rollouts": 1}, SecondPass),
    ],
)
def test_the_sampled_pass_is_used_where_it_can_be(make, changes, expected):
    assert type(make(**changes)._policies[0]) is expected


@pytest.mark.parametrize("changes", [{"calls": "three"}, {"rollouts": 2}])
def test_the_sampled_pass_is_refused_where_it_is_impossible(changes):
    with pytest.raises(InputError, match="policy_gradient='sampled_pass' needs"):
        Config.preset("tiny", policy_gradient="sampled_pass", **changes)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["character", "scene"])
def test_the_sampled_pass_skips_invalid_conditions(make, lines, wrong):
    loop = make()
    given = {"character": tf.constant(lines.character[:16]), "scene": tf.constant(lines.scene[:16])}
    given[wrong] = given[wrong] + 1000
    before = [weight.numpy() for weight in loop.networks.generator.trainable_variables]

    @tf.function
    def batch():
        arguments = *given.values(), tf.constant(1.0), tf.constant(0)
        return loop._learn(loop._draw(*arguments), *arguments)

    batch()
    assert loop.describe()["skipped_updates"] == {"generator": 1, "discriminator": 0}
    for old, weight in zip(before, loop.networks.generator.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def test_rewards_of_rollouts_reach_the_update(make, lines):
    """Runs a single batch eagerly, which is faster than tracing a graph."""
    loop = make(rollouts=2, calls="three")
    loop.generate_fake_samples = lambda *_: tf.constant(lines.tokens[:16])
    loop.train_discriminator_adversarial = lambda *_: (0.0, 0.0)
    loop.train_generator_adversarial = loop.train_generator_adversarial.python_function
    loop.rollout_rewards = lambda sequences, *_: tf.fill(sequences.shape, 0.25)
    loop.run(1)
    assert loop.history()["g_reward"] == pytest.approx(0.25)
