"""`tf.data` read by NumPy code, in three ways: 20 batches each."""

import numpy as np
import tensorflow as tf

data = tf.data.Dataset.range(640).map(lambda i: tf.cast(i, tf.float32) / 640).batch(32)

total = sum(batch.sum() for batch in data.as_numpy_iterator())
total += sum(batch.numpy().sum() for batch in data)
total += sum(np.sum(batch) for batch in data)
print(f"{total:.1f}")
