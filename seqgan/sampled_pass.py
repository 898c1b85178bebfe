"""Lines drawn in such a way that the generator can learn from them without reading them a second time.

While a line is drawn, the generator computes all that its policy gradient needs: its states, and every token's
probability. They are kept. The gradient of the output layer is then two matrix products over what was kept, and that of
the recurrent part one walk back over the states (`seqgan.recurrence`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from seqgan.generator import START, Generator, logits_at
from seqgan.recurrence import Recurrence
from seqgan.sampler import Sampler, draw_seed, relative_weights, total_weight
from seqgan.vocabulary import END, PAD


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """Lines, and what was computed when they were drawn; with a buffer the weights are these until the next draw.

    Attributes:
        tokens: [B, T] int32.
        character: [B] int32.
        scene: [B] int32.
        temperature: scalar float32, by which the logits were divided.
        hidden: [T, B, H] float32, the LSTM's hidden state that each token was drawn from.
        carry: [T, B, H] float32, its carry there.
        weights: [T, B, V] float32, exp(logit - largest logit) of every token there might have been.
        total: [T, B] float32, the sum of the weights.
        above: [T, B] float32, by how much the largest logit lies above that of the token.
    """

    tokens: tf.Tensor
    character: tf.Tensor
    scene: tf.Tensor
    temperature: tf.Tensor
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
    """The lines of `Generator.sample` up to rounding, with what was computed for them.

    Args:
        generator: draws.
        sampler: draws a batch of tokens.
        character: [B] int32.
        scene: [B] int32.
        temperature: scalar float32.
        seed: of the run; see `draw_seed`.
        number: scalar integer, of this draw in the run; the same gives the same lines.
        buffer: [T, B, V] float32, where the weights are written if it is given. XLA on a CPU then writes them in
            place, for a variable that a program assigns to lends it its memory.
    """
    first = tf.cast(number, tf.int32) * generator.length
    length, batch, size = generator.length, character.shape[0], generator.cell.units
    vocabulary, ends = generator.sizes.vocabulary, generator.sizes.ends
    recurrence = Recurrence.of(generator, generator.condition(character, scene))
    layer = generator.layer_at(temperature)

    def body(time: tf.Tensor, token: tf.Tensor, alive: tf.Tensor, *rest: Any) -> tuple[Any, ...]:
        hidden, carry, tokens, states, weights = rest
        hidden, carry = recurrence.advance(generator.token_embedding(token), hidden, carry)
        logits = logits_at(layer, hidden)
        token = sampler(logits, draw_seed(seed, first + time))
        above = tf.reduce_max(logits, axis=-1) - tf.gather(logits, token, batch_dims=1)
        if ends:
            token = tf.where(alive, token, PAD)
            alive = alive & (token != END)
        each = relative_weights(logits)
        state = tf.concat([hidden, carry, total_weight(each)[:, None], above[:, None]], axis=1)
        kept = tokens.write(time, token), states.write(time, state), weights.write(time, each)
        return time + 1, token, alive, hidden, carry, *kept

    zeros = tf.zeros([batch, size])
    tokens = tf.TensorArray(tf.int32, size=length, element_shape=[batch])
    states = tf.TensorArray(tf.float32, size=length, element_shape=[batch, 2 * size + 2])
    weights = tf.TensorArray(tf.float32, size=length, element_shape=[batch, vocabulary])
    if buffer is not None:
        weights = weights.unstack(buffer)
    start = (0, tf.fill([batch], START), tf.fill([batch], True), zeros, zeros, tokens, states, weights)
    *_, tokens, states, weights = tf.while_loop(lambda time, *_: time < length, body, start)
    hidden, carry, total, above = tf.split(states.stack(), [size, size, 1, 1], axis=-1)
    return Drawn(
        tokens=tf.transpose(tokens.stack()),
        character=character,
        scene=scene,
        temperature=temperature,
        hidden=hidden,
        carry=carry,
        weights=weights.stack() if buffer is None else buffer.assign(weights.stack()),
        total=total[..., 0],
        above=above[..., 0],
    )


def nll(generator: Generator, drawn: Drawn) -> tf.Tensor:
    """-log p [B, T] float32 of what was drawn, under the policy that it was drawn from.

    A tape around it can differentiate it by the generator's weights, as long as those are what they were. It has the
    gradient of the usual cross entropy, p - onehot, without ever holding it: with c the gradient of each -log p, s the
    sum of the weights and e the weights, the hidden state gets c/s (e W') - c W'[token], and the output layer gets
    (c/s [h, 1])' e less c [h, 1] added up by token. So the large array e is read by two matrix products, and no other
    of its size is written.
    """
    found: tf.Tensor = _differentiable(drawn)(*(tf.convert_to_tensor(each) for each in generator.trainable_variables))
    return found


def _differentiable(drawn: Drawn) -> Any:
    """-log p [B, T] as a function of the weights, in the order of a generator's `trainable_variables`."""
    length, batch, size = drawn.hidden.shape
    count = length * batch
    by_time = tf.transpose(drawn.tokens)  # [T, B], as what was kept
    tokens = tf.reshape(by_time, [-1])
    weights = tf.reshape(drawn.weights, [count, -1])

    @tf.custom_gradient
    def of_weights(*variables: tf.Tensor) -> tuple[tf.Tensor, Any]:
        token_rows, character_rows, scene_rows, kernel, recurrent_kernel, bias, output_kernel, _ = variables

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            each = tf.reshape(tf.transpose(upstream) / drawn.temperature, [count, 1])
            share = each / tf.reshape(drawn.total, [count, 1])
            mixed = tf.matmul(weights, output_kernel, transpose_b=True)  # [T B, H]
            to_hidden = share * mixed - each * tf.gather(tf.transpose(output_kernel), tokens)
            extended = tf.concat([tf.reshape(drawn.hidden, [count, size]), tf.ones([count, 1])], axis=1)
            chosen = tf.math.unsorted_segment_sum(each * extended, tokens, weights.shape[1])
            to_layer = tf.matmul(share * extended, weights, transpose_a=True) - tf.transpose(chosen)  # [H + 1, V]

            read = tf.concat([tf.fill([1, batch], START), by_time[:-1]], axis=0)
            condition = tf.concat(
                [tf.gather(character_rows, drawn.character), tf.gather(scene_rows, drawn.scene)], axis=-1
            )
            through = Recurrence.by(kernel, recurrent_kernel, bias, condition).backward(
                tf.gather(token_rows, read), drawn.hidden, drawn.carry, tf.reshape(to_hidden, [length, batch, size])
            )
            entered = token_rows.shape[1]  # rows of the kernel that a token enters by; the condition does by the others
            to_condition = tf.matmul(through.constant, kernel[entered:], transpose_b=True)
            to_character, to_scene = tf.split(to_condition, 2, axis=-1)
            to_kernel = tf.concat(
                [through.token_kernel, tf.matmul(condition, through.constant, transpose_a=True)], axis=0
            )
            return (
                tf.math.unsorted_segment_sum(through.embedded, read, token_rows.shape[0]),
                tf.math.unsorted_segment_sum(to_character, drawn.character, character_rows.shape[0]),
                tf.math.unsorted_segment_sum(to_scene, drawn.scene, scene_rows.shape[0]),
                to_kernel,
                through.recurrent_kernel,
                tf.reduce_sum(through.constant, axis=0),
                to_layer[:size],
                to_layer[size],
            )

        return tf.transpose(tf.math.log(drawn.total) + drawn.above), gradient

    return of_weights
