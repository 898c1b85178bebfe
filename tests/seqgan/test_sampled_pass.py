import dataclasses
import math
import re

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import objectives, sampled_pass, sampler
from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.vocabulary import END, Sizes

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


def from_sampling(generator, draw_token, temperature, buffer=None):
    who, where = tf.constant(WHO), tf.constant(WHERE)
    drawn = sampled_pass.draw(generator, draw_token, who, where, temperature, 5, tf.constant(2), buffer)
    with tf.GradientTape() as tape:
        nll = sampled_pass.nll(generator, drawn)
        loss = objectives.policy_gradient_loss(nll, drawn.tokens, REWARDS, generator.sizes.ends)
    return drawn.tokens, nll, tape.gradient(loss, generator.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("name", sampler.BY_NAME)
def test_the_gradient_is_that_of_a_second_pass(generator, name, temperature):
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
    np.testing.assert_array_equal(sampled_pass.draw(generator, *arguments).tokens, alone)


def buffer_for(generator):
    return tf.Variable(tf.fill([generator.length, BATCH, 53], np.nan), trainable=False)


def alike(found, expected):
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(one), tf.convert_to_tensor(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_was_in_the_buffer_makes_no_difference(generator, compiled):
    compute = tf.function(from_sampling, jit_compile=compiled)
    known = generator, sampler.inverse_cdf, tf.constant(0.7)
    alike(compute(*known, buffer_for(generator)), compute(*known))


@pytest.mark.slow
def test_a_second_draw_into_the_buffer_comes_after_the_first_was_learned_from(generator):
    def twice(buffer=None):
        return [from_sampling(generator, sampler.inverse_cdf, tf.constant(t), buffer) for t in (0.5, 2.0)]

    compute = tf.function(twice, jit_compile=True)
    alike(compute(buffer_for(generator)), compute())


@pytest.mark.slow
def test_xla_writes_the_buffer_in_place(generator):
    buffer = buffer_for(generator)
    step = tf.function(
        lambda: from_sampling(generator, sampler.inverse_cdf, tf.constant(1.0), buffer)[1], jit_compile=True
    )
    compiled = step.experimental_get_compiler_ir()(stage="optimized_hlo")
    whole = re.escape(f"f32[{generator.length},{BATCH},53]")
    assert "input_output_alias={ {" in compiled
    assert re.search(rf"{whole}[^ ]* dynamic-update-slice\(", compiled)
    assert not re.search(rf"= {whole}[^ ]* (copy|broadcast)\(", compiled)


def test_what_follows_the_end_has_no_gradient(tiny):
    made = Generator(tiny, Sizes(53, 3, 4, ends=True), seed=1)
    made.output_layer.bias.assign(100.0 * np.eye(53)[END])  # every line ends at once
    tokens, nll, gradients = from_sampling(made, sampler.inverse_cdf, tf.constant(1.0))
    assert np.all(tokens.numpy()[:, 0] == END)
    assert np.all(np.isfinite(nll))
    assert all(float(tf.norm(gradient)) < 1e-6 for gradient in gradients)


@pytest.mark.slow
def test_there_are_fewer_large_arrays_than_in_a_second_pass(tiny):
    """The compiled graph has neither the logits nor p - onehot of a whole batch, only the kept arrays."""
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
