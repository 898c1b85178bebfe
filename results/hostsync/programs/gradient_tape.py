"""A loop of one's own with `tf.GradientTape`, as TensorFlow's guides teach it: 20 batches an epoch, two epochs.

With the argument `eager`, the step is not compiled into a graph.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

random = np.random.default_rng(0)
x = random.normal(size=(640, 8)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int64")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(640, seed=0).batch(32)

model = keras.Sequential([keras.Input([8]), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(2)])
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1)
accuracy = keras.metrics.SparseCategoricalAccuracy()


def step(images, labels):
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = loss_of(labels, logits)
    gradients = tape.gradient(loss, model.trainable_weights)
    optimizer.apply(gradients, model.trainable_weights)
    accuracy.update_state(labels, logits)
    return loss


if "eager" not in sys.argv:
    step = tf.function(step)

for epoch in range(2):
    for number, (images, labels) in enumerate(data):
        loss = step(images, labels)
        if number % 10 == 0:
            print(f"epoch {epoch}, batch {number}: loss {float(loss):.4f}")
    print(f"accuracy: {float(accuracy.result()):.4f}")
    accuracy.reset_state()
