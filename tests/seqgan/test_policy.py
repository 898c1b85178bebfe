import dataclasses
import math
import re

import numpy as np
import pytest
import tensorflow as tf

from seqgan import objectives, policy, sampler
from seqgan.config import Config
from seqgan.errors import InputError
from seqgan.generator import Generator
from seqgan.loop import OptimizedLoop
from seqgan.policy import SampledPass, SecondPass
from seqgan.vocabulary import END, Sizes


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
    assert type(make(**changes)._policy) is expected


@pytest.mark.parametrize("changes", [{"calls": "three"}, {"rollouts": 2}])
def test_the_sampled_pass_cannot_be_asked_for_elsewhere(changes):
    with pytest.raises(InputError, match="policy_gradient='sampled_pass' needs"):
        Config.preset("tiny", policy_gradient="sampled_pass", **changes)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["character", "scene"])
def test_the_sampled_pass_skips_conditions_that_do_not_exist(make, lines, wrong):
    loop = make()
    given = {"character": tf.constant(lines.character[:16]), "scene": tf.constant(lines.scene[:16])}
    given[wrong] = given[wrong] + 1000
    before = [weight.numpy() for weight in loop.networks.generator.trainable_variables]

    @tf.function
    def batch():
        arguments = *given.values(), tf.constant(1.0), tf.constant(0)
        return loop._policy.learn(loop._policy.draw(*arguments), *arguments)

    batch()
    assert loop.describe()["skipped_updates"] == {"generator": 1, "discriminator": 0}
    for old, weight in zip(before, loop.networks.generator.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def test_rewards_of_rollouts_reach_the_update(make, lines):
    """In a single batch, which takes less time than the tracing of its graph."""
    loop = make(rollouts=2, calls="three")
    loop.generate_fake_samples = lambda *_: tf.constant(lines.tokens[:16])
    loop.train_discriminator_adversarial = lambda *_: (0.0, 0.0)
    loop.train_generator_adversarial = loop.train_generator_adversarial.python_function
    loop.rollout_rewards = lambda sequences, *_: tf.fill(sequences.shape, 0.25)
    loop.run(1)
    assert loop.history()["g_reward"] == pytest.approx(0.25)


BATCH = 6
WHO, WHERE = np.arange(BATCH, dtype=np.int32) % 3, np.arange(BATCH, dtype=np.int32) % 4
REWARDS = np.linspace(0.1, 0.9, BATCH, dtype=np.float32)[:, None]


@pytest.fixture(params=[False, True], ids=["without end", "with end"])
def generator(tiny, request):
    made = Generator(tiny, Sizes(53, 3, 4, ends=request.param), seed=1)
    kernel, bias = made.output_layer.kernel, made.output_layer.bias
    kernel.assign(kernel * 8)  # so that the distributions are far from uniform
    bias.assign(np.random.default_rng(0).normal(size=bias.shape) + 2.0 * np.eye(53)[END])
    return made


def second_pass(generator, tokens, temperature):
    with tf.GradientTape() as tape:
        nll = objectives.token_nll(generator(tokens, WHO, WHERE) / temperature, tokens)
        loss = objectives.policy_gradient_loss(nll, tokens, REWARDS, generator.sizes.ends)
    return nll, tape.gradient(loss, generator.trainable_variables)


def from_sampling(generator, draw_token, temperature):
    lines = policy.sample_on_tape(generator, draw_token, WHO, WHERE, temperature, 5, tf.constant(2))
    with lines.tape:
        loss = objectives.policy_gradient_loss(lines.nll, lines.tokens, REWARDS, generator.sizes.ends)
    gradients = lines.tape.gradient(loss, generator.trainable_variables)
    return lines.tokens, lines.nll, [tf.convert_to_tensor(gradient) for gradient in gradients]


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("name", sampler.BY_NAME)
def test_gradient_is_that_of_reading_the_lines_again(generator, name, temperature):
    compute = tf.function(from_sampling, jit_compile=name == "inverse_cdf")
    tokens, nll, gradients = compute(generator, sampler.BY_NAME[name], tf.constant(temperature))
    expected_nll, expected = second_pass(generator, tokens, temperature)
    mask = objectives.line_mask(tokens, generator.sizes.ends)
    np.testing.assert_allclose(nll * mask, expected_nll * mask, rtol=1e-4, atol=1e-5)
    for one, other in zip(gradients, expected, strict=True):
        other = tf.convert_to_tensor(other)
        assert float(tf.norm(other)) > 0
        assert float(tf.norm(one - other) / tf.norm(other)) < 1e-5


@pytest.mark.parametrize("name", sampler.BY_NAME)
def test_draws_the_lines_that_sampling_alone_draws(generator, name):
    arguments = sampler.BY_NAME[name], tf.constant(WHO), tf.constant(WHERE), tf.constant(0.7), 5, tf.constant(2)
    alone = tf.function(generator.sample)(*arguments)
    lines = policy.sample_on_tape(generator, *arguments)
    np.testing.assert_array_equal(lines.tokens, alone)


def test_what_follows_the_end_has_no_gradient(tiny):
    made = Generator(tiny, Sizes(53, 3, 4, ends=True), seed=1)
    made.output_layer.bias.assign(100.0 * np.eye(53)[END])  # every line ends at once
    tokens, nll, gradients = from_sampling(made, sampler.inverse_cdf, tf.constant(1.0))
    assert np.all(tokens.numpy()[:, 0] == END)
    assert np.all(np.isfinite(nll))
    assert all(float(tf.norm(gradient)) < 1e-6 for gradient in gradients)


@pytest.mark.slow
def test_there_are_fewer_large_arrays_than_in_a_second_pass(tiny):
    """Neither the logits nor p - onehot of a whole batch are in the compiled graph; only what was kept."""
    config = dataclasses.replace(tiny, sequence_length=7)
    made = Generator(config, Sizes(59, 3, 4, ends=False), seed=1)

    def large(step):
        compiled = tf.function(step, jit_compile=True).experimental_get_compiler_ir()(stage="optimized_hlo")
        shapes = re.findall(r"= f32\[([0-9,]+)\][^ ]* (?!bitcast|get-tuple-element|parameter)", compiled)
        return sum(math.prod(map(int, shape.split(","))) == 7 * BATCH * 59 for shape in shapes)

    kept = large(lambda: from_sampling(made, sampler.inverse_cdf, tf.constant(1.0))[2])
    tokens = from_sampling(made, sampler.inverse_cdf, tf.constant(1.0))[0]
    again = large(lambda: [tf.convert_to_tensor(each) for each in second_pass(made, tokens, 1.0)[1]])
    assert 0 < kept < again
