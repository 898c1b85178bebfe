"""Trains a small network to tell in which of eight directions the stripes of an image run."""

import numpy as np
import tensorflow as tf

BATCH, EPOCHS = 32, 10


def stripes(seed=0, count=1024, size=24):
    """Noisy images [count, size, size, 1] and their directions [count]."""
    rng = np.random.default_rng(seed)
    directions = rng.integers(0, 8, size=[count])
    angles = np.pi * directions[:, None, None] / 8
    rows, columns = np.mgrid[0:size, 0:size]
    waves = np.sin(np.cos(angles) * rows + np.sin(angles) * columns)
    images = waves + rng.normal(scale=4.0, size=waves.shape)
    return images[..., None].astype(np.float32), directions


def batches(seed=0):
    """The images in batches, in another order each epoch."""
    return tf.data.Dataset.from_tensor_slices(stripes(seed)).shuffle(1024, seed=seed).batch(BATCH)


def network():
    """A small convolutional network."""
    return tf.keras.Sequential(
        [
            tf.keras.Input([24, 24, 1]),
            tf.keras.layers.Conv2D(16, 5, strides=2, activation="relu"),
            tf.keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(8),
        ]
    )


def make_train_step(model, optimizer):
    """The update of the model by one batch, as a graph."""

    @tf.function
    def train_step(images, labels, learning_rate):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.learning_rate.assign(learning_rate)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        accuracy = tf.reduce_mean(tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32))
        return loss, accuracy

    return train_step


def main():
    """Trains, and prints a line an epoch."""
    tf.keras.utils.set_random_seed(0)
    model = network()
    train_step = make_train_step(model, tf.keras.optimizers.Adam())
    data = batches()
    for epoch in range(EPOCHS):
        losses, accuracies = [], []
        for images, labels in data:
            loss, accuracy = train_step(images, labels, 1e-3 / (1 + epoch))
            losses.append(loss.numpy())
            accuracies.append(accuracy.numpy())
            if float(loss) > 100:
                raise RuntimeError("diverged")
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}, accuracy {np.mean(accuracies):.3f}")


if __name__ == "__main__":
    main()
