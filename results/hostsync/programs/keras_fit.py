"""Keras `fit` on made data, 20 batches an epoch; an argument is `steps_per_execution`."""

import sys

import keras
import numpy as np

random = np.random.default_rng(0)
x = random.normal(size=(640, 8)).astype("float32")
y = x.sum(axis=1)
model = keras.Sequential([keras.Input([8]), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1
model.compile("adam", "mse", steps_per_execution=steps)
model.fit(x, y, batch_size=32, epochs=2, verbose=0)
