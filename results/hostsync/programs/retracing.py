"""A step whose graph is made anew for each number of an epoch, and for the last batch of each, which is shorter."""

import tensorflow as tf
from tqdm import tqdm

EPOCHS, EXAMPLES, BATCH = 5, 100, 32

inputs = tf.random.stateless_normal([EXAMPLES, 4], seed=[0, 1])
dataset = tf.data.Dataset.from_tensor_slices((inputs, tf.reduce_sum(inputs, 1, keepdims=True))).batch(BATCH)
weights = tf.Variable(tf.zeros([4, 1]))


@tf.function
def train_step(x, y, epoch):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((x @ weights - y) ** 2)
    weights.assign_sub(0.1 * 0.9**epoch * tape.gradient(loss, weights))
    return loss


for epoch in range(EPOCHS):
    bar = tqdm(dataset)
    for x, y in bar:
        loss = train_step(x, y, epoch)
        bar.set_postfix(loss=float(loss))
