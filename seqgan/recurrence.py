"""The generator's LSTM with as few operations as possible, and its backpropagation through time.

It computes the same as `Generator.advance` up to rounding, with less work. The contribution of character, scene and
bias to the gates is the same at each step of a line, so it is computed once; and token and hidden state enter by one
matrix product. In the backward pass, only what depends on the following step is computed step by step: the gates of all
steps come from one product before that, and the gradients of all weights from one product after it. (TensorFlow's own
gradient of a loop computes each weight's gradient at every step, and keeps a copy of the weights for each step.)

The equations are those of Hochreiter and Schmidhuber, Long short-term memory (1997), with the forget gate of Gers et
al. (2000), as `keras.layers.LSTMCell` has them.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from typing_extensions import Self

from loop_bench.seqgan.generator import Generator


class Gradients(NamedTuple):
    """Gradients of a scalar by the inputs and weights of a recurrence."""

    embedded: tf.Tensor  # [T, B, E]
    constant: tf.Tensor  # [B, 4H]
    token_kernel: tf.Tensor  # [E, 4H]
    recurrent_kernel: tf.Tensor  # [H, 4H]


class Recurrence(NamedTuple):
    """The LSTM for a batch of lines with given characters and scenes."""

    kernel: tf.Tensor  # [E + H, 4H] float32, for a token's embedding and the hidden state
    constant: tf.Tensor  # [B, 4H] float32, contribution of character, scene and bias to the gates at every step

    @classmethod
    def of(cls, generator: Generator, condition: tf.Tensor) -> Self:
        """The recurrence of a generator for conditions [B, 2E]."""
        cell = generator.cell
        kernel, recurrent_kernel, bias = map(tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, cell.bias))
        of_token, of_condition = tf.split(kernel, [-1, condition.shape[-1]])
        return cls(tf.concat([of_token, recurrent_kernel], axis=0), tf.matmul(condition, of_condition) + bias)

    def advance(self, embedded: tf.Tensor, hidden: tf.Tensor, carry: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One step: a token's embedding [B, E], hidden state and carry [B, H] -> new hidden state and carry [B, H]."""
        put, keep, new, show = self._gates(tf.concat([embedded, hidden], axis=-1))
        carry = keep * carry + put * new
        return show * tf.tanh(carry), carry

    def backward(self, embedded: tf.Tensor, hidden: tf.Tensor, carry: tf.Tensor, upstream: tf.Tensor) -> Gradients:
        """Backpropagation through all steps of lines that started with a state of zeros.

        Args:
            embedded: [T, B, E], input of each step.
            hidden: [T, B, H], hidden state after each step.
            carry: [T, B, H], carry after each step.
            upstream: [T, B, H], gradient by each `hidden`, without the part through later steps.
        """
        length, batch, size = hidden.shape
        zeros = tf.zeros([batch, size])
        hidden_before, carry_before = (tf.concat([zeros[None], each[:-1]], axis=0) for each in (hidden, carry))
        read = tf.concat([embedded, hidden_before], axis=-1)  # [T, B, E + H]
        put, keep, new, show = self._gates(read)
        shown = tf.tanh(carry)
        none = tf.zeros_like(show)
        # Derivatives of carry and hidden state by each gate before its nonlinearity, [T, B, 4, H] each. The zeros are
        # included, so that a step is one elementwise operation besides its product.
        moves_carry = [new * put * (1 - put), carry_before * keep * (1 - keep), put * (1 - new * new), none]
        by_carry = tf.stack(moves_carry, axis=2)
        by_hidden = tf.stack([none, none, none, shown * show * (1 - show)], axis=2)
        carry_shows = show * (1 - shown * shown)
        back = tf.transpose(self.kernel[-size:])  # [4H, H]

        def body(
            time: tf.Tensor, to_hidden: tf.Tensor, to_carry: tf.Tensor, found: tf.TensorArray
        ) -> tuple[tf.Tensor, ...]:
            to_hidden += upstream[time]
            to_carry += to_hidden * carry_shows[time]
            to_gates = to_carry[:, None] * by_carry[time] + to_hidden[:, None] * by_hidden[time]
            to_gates = tf.reshape(to_gates, [batch, 4 * size])
            return time - 1, tf.matmul(to_gates, back), to_carry * keep[time], found.write(time, to_gates)

        found = tf.TensorArray(tf.float32, size=length, element_shape=[batch, 4 * size])
        *_, found = tf.while_loop(lambda time, *_: time >= 0, body, (length - 1, zeros, zeros, found))
        to_gates = found.stack()
        by_row = tf.reshape(to_gates, [-1, 4 * size])
        to_kernel = tf.matmul(tf.reshape(read, [-1, read.shape[-1]]), by_row, transpose_a=True)
        to_embedded = tf.matmul(by_row, self.kernel[:-size], transpose_b=True)
        return Gradients(
            embedded=tf.reshape(to_embedded, embedded.shape),
            constant=tf.reduce_sum(to_gates, axis=0),
            token_kernel=to_kernel[:-size],
            recurrent_kernel=to_kernel[-size:],
        )

    def _gates(self, read: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Gates of the LSTM: input, forget, candidate and output, [..., B, H] each."""
        product = tf.matmul(tf.reshape(read, [-1, read.shape[-1]]), self.kernel)
        put, keep, new, show = tf.split(tf.reshape(product, [*read.shape[:-1], -1]) + self.constant, 4, axis=-1)
        return tf.sigmoid(put), tf.sigmoid(keep), tf.tanh(new), tf.sigmoid(show)
