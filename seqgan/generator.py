"""Generator: an LSTM language model conditioned on the speaking character and the scene."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.sampler import Sampler, draw_seed
from loop_bench.seqgan.tracing import as_written
from loop_bench.seqgan.vocabulary import END, PAD, Sizes

START = 0  # input before the first token; as in the SeqGAN paper, it has no id of its own

State = tuple[tf.Tensor, tf.Tensor]
"""Hidden and cell state of the LSTM, [B, H] float32 each."""


class Generator(keras.Model):
    """Language model p(token | tokens before, character, scene).

    The embeddings of character and scene are part of the input at every step, so that the model does not forget
    them in a long line.
    """

    def __init__(self, config: Config, sizes: Sizes, seed: int, name: str = "generator") -> None:
        super().__init__(name=name)
        self.sizes = sizes
        self.length = config.sequence_length
        seeds = iter(np.random.SeedSequence(seed).generate_state(6).tolist())

        def embedding(count: int, what: str) -> keras.layers.Embedding:
            start = keras.initializers.RandomUniform(-0.05, 0.05, seed=next(seeds))
            return keras.layers.Embedding(count, config.embedding_size, embeddings_initializer=start, name=what)

        self.token_embedding = embedding(sizes.vocabulary, "token_embedding")
        self.character_embedding = embedding(sizes.characters, "character_embedding")
        self.scene_embedding = embedding(sizes.scenes, "scene_embedding")
        # A cell, because sampling runs step by step, and because XLA has no kernel for cuDNN's LSTM.
        self.cell = keras.layers.LSTMCell(
            config.hidden_size,
            kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            name="lstm",
        )
        self.unroll = keras.layers.RNN(self.cell, return_sequences=True, name="lstm_over_time")
        self.output_layer = keras.layers.Dense(
            sizes.vocabulary, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)), name="output"
        )
        with keras.name_scope(name):  # names the weights `generator/...`, by which faults are injected
            for layer in (self.token_embedding, self.character_embedding, self.scene_embedding):
                layer.build(None)
            self.cell.build((None, 3 * config.embedding_size))
            self.output_layer.build((None, config.hidden_size))
        self.built = True

    def condition(self, character: tf.Tensor, scene: tf.Tensor) -> tf.Tensor:
        """Embeddings [B, 2E] of character and scene [B] int32: the part of the input that is constant in a line."""
        return tf.concat([self.character_embedding(character), self.scene_embedding(scene)], axis=-1)

    def initial_state(self, batch: int) -> State:
        """The state before the first token: zeros."""
        zeros = tf.zeros([batch, self.cell.units])
        return zeros, zeros

    def advance(self, token: tf.Tensor, condition: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """One step of the LSTM: token [B], condition [B, 2E] and state -> hidden [B, H] and the new state."""
        inputs = tf.concat([self.token_embedding(token), condition], axis=-1)
        hidden, (hidden, carry) = self.cell(inputs, list(state))
        return hidden, (hidden, carry)

    def write(self, token: tf.Tensor, alive: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Appends a token [B] to each line, PAD where the line has ended; returns the tokens, and which lines go on."""
        if not self.sizes.ends:
            return token, alive
        token = tf.where(alive, token, PAD)
        return token, alive & (token != END)

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """Hidden [..., H] -> logits [..., V]; for a script, PAD gets no probability, because it is not a word."""
        logits = self.output_layer(hidden)
        if self.sizes.ends:
            logits += tf.one_hot(PAD, self.sizes.vocabulary, on_value=-1e9, off_value=0.0)
        return logits

    def layer_at(self, temperature: tf.Tensor | float) -> tf.Tensor:
        """Kernel [H + 1, V] float32 with which `logits_at` computes `logits(hidden) / temperature` up to rounding.

        It includes bias, padding and temperature in the product, which saves further passes over the logits.
        """
        bias = self.logits(tf.zeros([1, self.cell.units]))
        return tf.concat([self.output_layer.kernel, bias], axis=0) / temperature

    def call(self, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor) -> tf.Tensor:
        """Computes the logits of all tokens of given lines (teacher forcing).

        Args:
            tokens: [B, T] int32.
            character: [B] int32.
            scene: [B] int32.

        Returns:
            logits [B, T, V] float32; those at t are for the token at t, given the tokens before it.
        """
        batch = tokens.shape[0]
        shifted = tf.concat([tf.fill([batch, 1], START), tokens[:, :-1]], axis=1)  # [B, T]
        condition = self.condition(character, scene)[:, None]  # [B, 1, 2E]
        inputs = tf.concat([self.token_embedding(shifted), tf.repeat(condition, self.length, axis=1)], axis=-1)
        return self.logits(self.unroll(inputs))

    @as_written
    def sample(
        self,
        sampler: Sampler,
        character: tf.Tensor,
        scene: tf.Tensor,
        temperature: tf.Tensor,
        seed: int | tf.Tensor,
        draw: tf.Tensor,
    ) -> tf.Tensor:
        """Draws lines token by token from softmax(logits / temperature), in the graph.

        Args:
            sampler: draws a batch of tokens.
            character: [B] int32.
            scene: [B] int32.
            temperature: scalar float32.
            seed: seed of the run; see `draw_seed`.
            draw: scalar integer, the number of this draw in the run; the same number gives the same lines.

        Returns:
            tokens [B, T] int32; if lines end, only PAD follows END.
        """
        first = tf.cast(draw, tf.int32) * self.length

        batch = character.shape[0]
        condition = self.condition(character, scene)

        def body(
            time: tf.Tensor, token: tf.Tensor, alive: tf.Tensor, state: State, drawn: tf.TensorArray
        ) -> tuple[Any, ...]:
            hidden, state = self.advance(token, condition, state)
            token = sampler(self.logits(hidden) / temperature, draw_seed(seed, first + time))
            token, alive = self.write(token, alive)
            return time + 1, token, alive, state, drawn.write(time, token)

        drawn = tf.TensorArray(tf.int32, size=self.length, element_shape=[batch])
        start = (0, tf.fill([batch], START), tf.fill([batch], True), self.initial_state(batch), drawn)
        *_, drawn = tf.while_loop(lambda time, *_: time < self.length, body, start)
        return tf.transpose(drawn.stack())


def logits_at(layer: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Hidden [B, H] -> logits [B, V] divided by the temperature for which `Generator.layer_at` made the layer."""
    return tf.matmul(tf.pad(hidden, [[0, 0], [0, 1]], constant_values=1.0), layer)
