"""`fit` of `tf.keras` (Keras 2 if TF_USE_LEGACY_KERAS=1, else Keras 3), 20 batches an epoch, two epochs."""

import numpy as np
import tensorflow as tf

random = np.random.default_rng(0)
x = random.normal(size=(640, 8)).astype("float32")
y = x.sum(axis=1)
model = tf.keras.Sequential(
    [tf.keras.Input([8]), tf.keras.layers.Dense(16, activation="relu"), tf.keras.layers.Dense(1)]
)
model.compile("adam", "mse")
model.fit(x, y, batch_size=32, epochs=2, verbose=0)
