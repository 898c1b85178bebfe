"""The loop of train.py as it was, and rewritten: a factory for each."""

import itertools

import tensorflow as tf
from train import BATCH, batches, make_train_step, network

from loop_bench import Arm, Pair
from loop_bench.loops import from_step, seed

EPOCH = 1024 // BATCH  # batches


def before(spec):
    """As in train.py: a new Python number each epoch, three reads a batch."""
    model, optimizer, train_step = parts(spec)
    steps = itertools.count()

    def step(images, labels):
        epoch = next(steps) // EPOCH
        loss, accuracy = train_step(images, labels, 1e-3 / (1 + epoch))
        found = {"loss": loss.numpy(), "accuracy": accuracy.numpy()}
        if float(loss) > 100:
            raise RuntimeError("diverged")
        return found

    return from_step(step, batches(spec.seed), [*model.variables, *optimizer.variables])


def after(spec):
    """A tensor as learning rate, and one read an epoch."""
    model, optimizer, train_step = parts(spec)
    steps = itertools.count()
    losses = []  # of this epoch, on the device

    def step(images, labels):
        epoch = next(steps) // EPOCH
        loss, accuracy = train_step(images, labels, tf.constant(1e-3 / (1 + epoch)))
        losses.append(loss)
        if len(losses) == EPOCH:
            if float(tf.reduce_max(losses)) > 100:
                raise RuntimeError("diverged")
            losses.clear()
        return {"loss": loss, "accuracy": accuracy}

    return from_step(step, batches(spec.seed), [*model.variables, *optimizer.variables])


def parts(spec):
    """Build what both loops use, from the seed."""
    seed(spec.seed)
    model = network()
    optimizer = tf.keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return model, optimizer, make_train_step(model, optimizer)


# Nothing need be set for both to compute the same: each run checks that they do.
PAIRS = [Pair(Arm("loops:before"), Arm("loops:after"), equivalent={})]
