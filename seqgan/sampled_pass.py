"""Draws lines and keeps the intermediate results, so that the generator learns from them without a second pass.

While a line is drawn, the generator computes everything that its policy gradient needs: its states, and every token's
probability. These are kept. The gradient of the output layer is then two matrix products over the kept values, and that
of the recurrent part one backward pass over the states (`seqgan.recurrence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from loop_bench.seqgan.generator import START, Generator, logits_at
from loop_bench.seqgan.recurrence import Recurrence
from loop_bench.seqgan.sampler import Sampler, draw_seed, relative_weights, total_weight


class Drawn(NamedTuple):
    """Drawn lines, and the values computed while drawing them.

    Attributes:
        tokens: [B, T] int32.
        character: [B] int32.
        scene: [B] int32.
        temperature: scalar float32, by which the logits were divided.
        condition: [B, 2E] float32, embeddings of character and scene.
        recurrence: the LSTM that the lines were drawn with.
        hidden: [T, B, H] float32, hidden state of the LSTM from which each token was drawn.
        carry: [T, B, H] float32, carry of the LSTM at the same step.
        weights: [T, B, V] float32, exp(logit - largest logit) of every word in the vocabulary.
        total: [T, B] float32, sum of the weights.
        above: [T, B] float32, largest logit minus the logit of the drawn token.
    """

    tokens: tf.Tensor
    character: tf.Tensor
    scene: tf.Tensor
    temperature: tf.Tensor
    condition: tf.Tensor
    recurrence: Recurrence
    hidden: tf.Tensor
    carry: tf.Tensor
    weights: tf.Tensor
    total: tf.Tensor
    above: tf.Tensor


def draw(
    generator: Generator,
    sampler: Sampler,
    character: tf.Tensor,
    scene: tf.Tensor,
    temperature: tf.Tensor,
    seed: int | tf.Tensor,
    number: tf.Tensor,
    buffer: tf.Variable | None = None,
) -> Drawn:
    """Draws the lines of `Generator.sample`, up to rounding, and keeps the values computed for them.

    Args:
        generator: the generator.
        sampler: draws a batch of tokens.
        character: [B] int32.
        scene: [B] int32.
        temperature: scalar float32.
        seed: seed of the run; see `draw_seed`.
        number: scalar integer, the number of this draw in the run; the same number gives the same lines.
        buffer: [T, B, V] float32, variable for the weights; None: none. XLA on a CPU then writes the weights in
            place, because a program uses the memory of a variable that it assigns to.
    """
    first = tf.cast(number, tf.int32) * generator.length
    length, batch, size = generator.length, character.shape[0], generator.cell.units
    condition = generator.condition(character, scene)
    recurrence = Recurrence.of(generator, condition)
    layer = generator.layer_at(temperature)

    def body(time: tf.Tensor, token: tf.Tensor, alive: tf.Tensor, *rest: Any) -> tuple[Any, ...]:
        hidden, carry, tokens, states, weights = rest
        hidden, carry = recurrence.advance(generator.token_embedding(token), hidden, carry)
        logits = logits_at(layer, hidden)
        token = sampler(logits, draw_seed(seed, first + time))
        above = tf.reduce_max(logits, axis=-1) - tf.gather(logits, token, batch_dims=1)
        token, alive = generator.write(token, alive)
        each = relative_weights(logits)
        state = tf.concat([hidden, carry, total_weight(each)[:, None], above[:, None]], axis=1)
        kept = tokens.write(time, token), states.write(time, state), weights.write(time, each)
        return time + 1, token, alive, hidden, carry, *kept

    tokens = tf.TensorArray(tf.int32, size=length, element_shape=[batch])
    states = tf.TensorArray(tf.float32, size=length, element_shape=[batch, 2 * size + 2])
    weights = tf.TensorArray(tf.float32, size=length, element_shape=[batch, generator.sizes.vocabulary])
    if buffer is not None:
        weights = weights.unstack(buffer)
    start = (
        0,
        tf.fill([batch], START),
        tf.fill([batch], True),
        *generator.initial_state(batch),
        tokens,
        states,
        weights,
    )
    *_, tokens, states, weights = tf.while_loop(lambda time, *_: time < length, body, start)
    hidden, carry, total, above = tf.split(states.stack(), [size, size, 1, 1], axis=-1)
    return Drawn(
        tokens=tf.transpose(tokens.stack()),
        character=character,
        scene=scene,
        temperature=temperature,
        condition=condition,
        recurrence=recurrence,
        hidden=hidden,
        carry=carry,
        weights=weights.stack() if buffer is None else tf.convert_to_tensor(buffer.assign(weights.stack())),
        total=total[..., 0],
        above=above[..., 0],
    )


def nll(generator: Generator, drawn: Drawn) -> tf.Tensor:
    """Negative log-likelihood -log p [B, T] float32 of drawn lines, under the policy that they were drawn from.

    A tape can differentiate it by the generator's weights, if those have not changed since the draw. Its gradient is
    that of the usual cross entropy, p - onehot, which is never materialised: with c the gradient of each -log p, s the
    sum of the weights and e the weights, the gradient of the hidden state is c/s (e W') - c W'[token], and that of the
    output layer is (c/s [h, 1])' e minus c [h, 1] summed by token. So the large array e is read by two matrix products,
    and no other array of its size is written.
    """

    @tf.custom_gradient
    def of_weights(*variables: tf.Tensor) -> tuple[tf.Tensor, Any]:
        value = tf.transpose(tf.math.log(drawn.total) + drawn.above)
        return value, lambda upstream: _gradients(drawn, variables, tf.transpose(upstream))

    found: tf.Tensor = of_weights(*(tf.convert_to_tensor(each) for each in generator.trainable_variables))
    return found


def _gradients(drawn: Drawn, variables: Sequence[tf.Tensor], upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Gradients by each of a generator's `trainable_variables`, given the gradients by each -log p, [T, B]."""
    token_rows, character_rows, scene_rows, kernel, _, _, output_kernel, _ = variables
    by_time = tf.transpose(drawn.tokens)  # [T, B], like the kept values
    to_hidden, to_layer = _of_output_layer(drawn, by_time, output_kernel, upstream)

    read = tf.concat([tf.fill([1, by_time.shape[1]], START), by_time[:-1]], axis=0)
    embedded = tf.gather(token_rows, read)
    through = drawn.recurrence.backward(embedded, drawn.hidden, drawn.carry, to_hidden)
    entered = token_rows.shape[1]  # number of the kernel's rows for the token; the others are for the condition
    to_condition = tf.matmul(through.constant, kernel[entered:], transpose_b=True)
    to_character, to_scene = tf.split(to_condition, 2, axis=-1)
    by_condition = tf.matmul(drawn.condition, through.constant, transpose_a=True)
    return (
        tf.math.unsorted_segment_sum(through.embedded, read, token_rows.shape[0]),
        tf.math.unsorted_segment_sum(to_character, drawn.character, character_rows.shape[0]),
        tf.math.unsorted_segment_sum(to_scene, drawn.scene, scene_rows.shape[0]),
        tf.concat([through.token_kernel, by_condition], axis=0),
        through.recurrent_kernel,
        tf.reduce_sum(through.constant, axis=0),
        to_layer[:-1],
        to_layer[-1],
    )


def _of_output_layer(
    drawn: Drawn, by_time: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients by the hidden states, [T, B, H], and by kernel and bias together, [H + 1, V]; see `nll`."""
    size, vocabulary = kernel.shape
    tokens, weights = tf.reshape(by_time, [-1]), tf.reshape(drawn.weights, [-1, vocabulary])
    each = tf.reshape(upstream / drawn.temperature, [-1, 1])
    share = each / tf.reshape(drawn.total, [-1, 1])
    mixed = tf.matmul(weights, kernel, transpose_b=True)  # [T B, H]
    to_hidden = share * mixed - each * tf.gather(tf.transpose(kernel), tokens)
    extended = tf.concat([tf.reshape(drawn.hidden, [-1, size]), tf.ones([tokens.shape[0], 1])], axis=1)
    chosen = tf.math.unsorted_segment_sum(each * extended, tokens, vocabulary)
    to_layer = tf.matmul(share * extended, weights, transpose_a=True) - tf.transpose(chosen)
    return tf.reshape(to_hidden, drawn.hidden.shape), to_layer
