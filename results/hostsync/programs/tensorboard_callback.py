"""Keras `fit` with the TensorBoard callback, which also writes each batch's loss: 20 batches an epoch."""

import tempfile

import keras
import numpy as np

random = np.random.default_rng(0)
x = random.normal(size=(640, 8)).astype("float32")
y = x.sum(axis=1)
model = keras.Sequential([keras.Input([8]), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
model.compile("adam", "mse")
with tempfile.TemporaryDirectory() as folder:
    callback = keras.callbacks.TensorBoard(folder, histogram_freq=1, update_freq="batch")
    model.fit(x, y, batch_size=32, epochs=2, verbose=0, callbacks=[callback])
