"""The generator: an LSTM language model conditioned on who speaks and in which scene."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.sampler import Sampler, draw_seed
from loop_bench.seqgan.tracing import as_written
from loop_bench.seqgan.vocabulary import END, PAD, Sizes

START = 0  # fed before the first token; as in the SeqGAN paper, no id of its own

State = tuple[tf.Tensor, tf.Tensor]
"""Hidden and cell state of the LSTM, [B, H] float32 each."""


class Generator(keras.Model):
    """p(token | tokens before, character, scene).

    The embeddings of character and scene are part of the input at every step, so that a long line does not
    forget who speaks it.
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
        # A cell, because sampling goes step by step; and XLA has no kernel for cuDNN's LSTM.
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
        with keras.name_scope(name):  # the weights are then called `generator/...`, by which a fault finds them
            for layer in (self.token_embedding, self.character_embedding, self.scene_embedding):
                layer.build(None)
            self.cell.build((None, 3 * config.embedding_size))
            self.output_layer.build((None, config.hidden_size))
        self.built = True

    def condition(self, character: tf.Tensor, scene: tf.Tensor) -> tf.Tensor:
        """character, scene [B] int32 -> [B, 2E], the part of the input that stays the same in a line."""
        return tf.concat([self.character_embedding(character), self.scene_embedding(scene)], axis=-1)

    def initial_state(self, batch: int) -> State:
        """The state before the first token: zeros."""
        zeros = tf.zeros([batch, self.cell.units])
        return zeros, zeros

    def advance(self, token: tf.Tensor, condition: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """One token further: token [B], condition [B, 2E] -> hidden [B, H], and the state."""
        inputs = tf.concat([self.token_embedding(token), condition], axis=-1)
        hidden, (hidden, carry) = self.cell(inputs, list(state))
        return hidden, (hidden, carry)

    def write(self, token: tf.Tensor, alive: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What lines get that are to be gone on with a token [B], PAD if they have ended; and which go on after it."""
        if not self.sizes.ends:
            return token, alive
        token = tf.where(alive, token, PAD)
        return token, alive & (token != END)

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """Hidden [..., H] -> logits [..., V]; a script's padding is no word and gets no probability."""
        logits = self.output_layer(hidden)
        if self.sizes.ends:
            logits += tf.one_hot(PAD, self.sizes.vocabulary, on_value=-1e9, off_value=0.0)
        return logits

    def layer_at(self, temperature: tf.Tensor | float) -> tf.Tensor:
        """[H + 1, V] float32, with which `logits_at` gives `logits(hidden) / temperature` up to rounding.

        So bias, padding and temperature are in the product, and not in more passes over the logits.
        """
        bias = self.logits(tf.zeros([1, self.cell.units]))
        return tf.concat([self.output_layer.kernel, bias], axis=0) / temperature

    def call(self, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor) -> tf.Tensor:
        """Teacher forcing.

        Args:
            tokens: [B, T] int32.
            character: [B] int32.
            scene: [B] int32.

        Returns:
            logits [B, T, V] float32; those at t are of the token at t, given the ones before.
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
        """Lines drawn token by token from softmax(logits / temperature), in the graph.

        Args:
            sampler: draws a batch of tokens.
            character: [B] int32.
            scene: [B] int32.
            temperature: scalar float32.
            seed: of the run; see `draw_seed`.
            draw: scalar integer, the number of this draw in the run; the same gives the same lines.

        Returns:
            tokens [B, T] int32; after END only PAD where lines end.
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
    """Hidden [B, H] -> logits [B, V] divided by a temperature, by what `Generator.layer_at` gave for it."""
    return tf.matmul(tf.pad(hidden, [[0, 0], [0, 1]], constant_values=1.0), layer)
