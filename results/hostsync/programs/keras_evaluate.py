"""Keras `evaluate` and `predict` on made data, 20 batches."""

import keras
import numpy as np

random = np.random.default_rng(0)
x = random.normal(size=(640, 8)).astype("float32")
y = x.sum(axis=1)
model = keras.Sequential([keras.Input([8]), keras.layers.Dense(1)])
model.compile(loss="mse", metrics=["mae"])
model.evaluate(x, y, batch_size=32, verbose=0)
model.predict(x, batch_size=32, verbose=0)
