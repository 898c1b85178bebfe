"""Small training loops with known behaviour, for tests of the harness; they do not import it."""

import warnings

import numpy as np
import tensorflow as tf


class Quadratic:
    """Adam with its optimum at 3, one step per batch; reads the device only for the history."""

    def __init__(self, seed=0, read_each=False):
        self.weight = tf.Variable(tf.fill([4], 1.0 + 0.01 * seed), name="generator/weight")
        self.optimizer = tf.keras.optimizers.Adam(0.01, name="adam")  # or Keras numbers those of a process
        self.optimizer.build([self.weight])
        self.losses = []
        self.read_each = read_each
        self.step = tf.function(self._step)

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2)
        self.optimizer.apply(tape.gradient(loss, [self.weight]), [self.weight])
        return loss

    def run(self, batches):
        for _ in range(batches):
            loss = self.step()
            if self.read_each:
                loss.numpy()
            self.losses.append(loss)

    def history(self):
        return {"loss": tf.stack(self.losses).numpy() if self.losses else np.empty(0, np.float32)}

    @property
    def variables(self):
        return [self.weight, *self.optimizer.variables]


class Guarded(Quadratic):
    """Quadratic whose updates are clipped to a norm of 1 and skipped if not finite."""

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2)
        (gradient,) = tape.gradient(loss, [self.weight])
        if tf.reduce_all(tf.math.is_finite(gradient)):
            self.optimizer.apply([tf.clip_by_norm(gradient, 1.0)], [self.weight])
        return loss


class Late(Guarded):
    """Guarded loop whose optimizer makes its state in the first batch, and whose weights come last."""

    def __init__(self):
        super().__init__()
        self.optimizer = tf.keras.optimizers.Adam(0.01)

    @property
    def variables(self):
        return [*self.optimizer.variables, self.weight]


class Zeroing(Quadratic):
    """Replaces gradients that are not finite by zero, which still changes Adam's moments."""

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2)
        (gradient,) = tape.gradient(loss, [self.weight])
        self.optimizer.apply([tf.where(tf.math.is_finite(gradient), gradient, 0.0)], [self.weight])
        return loss


class Counting(Guarded):
    """Skips updates, but still counts their steps."""

    def _step(self):
        self.optimizer.iterations.assign_add(1)
        return super()._step()


class Gathering(Quadratic):
    """Accumulates the gradients of four batches, and updates its weight only in the fourth."""

    def __init__(self):
        super().__init__()
        self.optimizer = tf.keras.optimizers.Adam(0.01, gradient_accumulation_steps=4)
        self.optimizer.build([self.weight])


class Descending(Quadratic):
    """Plain gradient descent, in which a spike of the gradient makes the weights jump."""

    def __init__(self):
        super().__init__()
        self.optimizer = tf.keras.optimizers.SGD(0.01)
        self.optimizer.build([self.weight])


class Seldom(Quadratic):
    """Trains only in every n-th batch, up to a number of batches."""

    def __init__(self, every, most=1000):
        super().__init__()
        self.every, self.most = every, most

    def run(self, batches):
        for _ in range(batches):
            if len(self.losses) % self.every == 0 and len(self.losses) < self.most:
                super().run(1)
            else:
                self.losses.append(self.losses[-1])


class Checked(Quadratic):
    """Raises an error if a value is not a number."""

    error = ArithmeticError("Graph execution error:\n\nDetected at node x\nloss is NaN")

    def run(self, batches):
        for _ in range(batches):
            super().run(1)
            if not np.all(np.isfinite(self.weight.numpy())):
                raise self.error


def plain(spec):
    return Quadratic(spec.seed)


def reading(spec):
    return Quadratic(spec.seed, read_each=True)


def guarded(spec):
    return Guarded(spec.seed)


class Lazy(Quadratic):
    """Claims to train, but does not."""

    def run(self, batches):
        self.losses += [tf.constant(1.0)] * batches


def lazy(spec):
    return Lazy()


class Failing(Quadratic):
    """Raises an error after some batches."""

    def run(self, batches):
        if len(self.losses) > 5:
            raise RuntimeError("out of something")
        super().run(batches)


def failing(spec):
    return Failing()


class Doomed(Quadratic):
    """Raises an error whenever it trains, from the first batch on."""

    def run(self, batches):
        raise RuntimeError("out of something")

    def describe(self):
        return {"batches_per_epoch": 3}

    def evaluate(self):
        return {"distance ↓": 1.0}


def doomed(spec):
    return Doomed(spec.seed)


def broken(spec):
    return {}["licence"]


class Stopping(Quadratic):
    """Silently stops training when its data end."""

    def run(self, batches):
        super().run(min(batches, 6 - len(self.losses)))


def stopping(spec):
    return Stopping()


class Dying(Quadratic):
    """Becomes NaN after some batches, and continues."""

    def run(self, batches):
        super().run(batches)
        if len(self.losses) > 5:
            self.weight.assign([float("nan")] * 4)


def dying(spec):
    return Dying()


class Deprecated(Quadratic):
    """Uses a deprecated function."""

    def run(self, batches):
        warnings.warn("an old way of training", DeprecationWarning, stacklevel=1)
        super().run(batches)


def warning(spec):
    return Deprecated()


class Tapeless(Quadratic):
    """Computes its gradient without a tape."""

    def _step(self):
        self.optimizer.apply([(self.weight - 3.0) / 2], [self.weight])
        return tf.reduce_mean((self.weight - 3.0) ** 2)


class Growing(Quadratic):
    """Runs out of memory for sizes above 1."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def run(self, batches):
        if self.size > 1:
            raise MemoryError(f"of size {self.size}\nand more that nobody wants to know")
        super().run(batches)


def growing(spec):
    return Growing(spec.options.get("size", 1))


def tapeless(spec):
    return Tapeless()


class Rated(Quadratic):
    """Reports its distance from the optimum and its batches per epoch; can raise an error or become NaN."""

    def __init__(self, seed=0, dies_after=1000, bad_after=1000, says="distance ↓"):
        super().__init__(seed)
        self.dies_after, self.bad_after, self.says = dies_after, bad_after, says

    def run(self, batches):
        if len(self.losses) >= self.dies_after:
            raise ArithmeticError("Graph execution error:\n\nDetected at node x\nloss is NaN")
        super().run(batches)

    def describe(self):
        return {"batches_per_epoch": 3, "temperature": 1.0 / (1 + len(self.losses))}

    def evaluate(self):
        distance = float(3.0 - self.weight.numpy()[0])
        return {self.says: float("nan") if len(self.losses) >= self.bad_after else distance}


def rated(spec):
    return Rated(spec.seed, **spec.options)


def two_cpus():
    """Divides the CPU into two devices, unless done already; RuntimeError if it was started as one device."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def configuring(spec):
    two_cpus()
    return Quadratic(spec.seed)


class Mirrored(Quadratic):
    """Quadratic on two devices, with a copy of each variable on both."""

    def __init__(self, seed=0):
        self.strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
        with self.strategy.scope():
            super().__init__(seed)

    def _step(self):
        return self.strategy.reduce("SUM", self.strategy.run(self._half), axis=None)

    def _half(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2) / 2
        self.optimizer.apply(tape.gradient(loss, [self.weight]), [self.weight])
        return loss

    def describe(self):
        return {"batches_per_epoch": 2}

    def evaluate(self):
        return {"distance ↓": float(3.0 - self.weight.numpy()[0])}


def mirrored(spec):
    two_cpus()
    return Mirrored(spec.seed)


class Unsummed(Mirrored):
    """Replicas that drift apart after some batches: the second changes its weight a bit more."""

    def __init__(self, seed=0, after=5):
        super().__init__(seed)
        self.after = after

    def run(self, batches):
        for _ in range(batches):
            super().run(1)
            if len(self.losses) > self.after:
                self.weight.values[1].assign_add([0.01] * 4)


class GuardedMirrored(Mirrored):
    """Mirrored loop that skips an update whose summed gradient is not finite."""

    def _half(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2) / 2
        (gradient,) = tape.gradient(loss, [self.weight])
        total = tf.distribute.get_replica_context().all_reduce("SUM", gradient)
        good = tf.reduce_all(tf.math.is_finite(total))
        self.optimizer.apply([tf.where(good, gradient, 0.0)], [self.weight])
        return loss


class OnMachines(Mirrored):
    """Quadratic with a replica on each of several machines in TF_CONFIG."""

    def __init__(self, seed=0):
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        with self.strategy.scope():
            Quadratic.__init__(self, seed)

    def _half(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2) / self.strategy.num_replicas_in_sync
        self.optimizer.apply(tape.gradient(loss, [self.weight]), [self.weight])
        return loss


def on_machines(spec):
    return OnMachines(spec.seed)


class Raising(OnMachines):
    """Fails on a worker after some batches, while the chief waits for the worker."""

    def run(self, batches):
        for _ in range(batches):
            if len(self.losses) == 8 and self.strategy.cluster_resolver.task_id:
                raise RuntimeError("out of something")
            super().run(1)


def raising(spec):
    return Raising(spec.seed)


class NoHistory:
    def run(self, batches):
        pass


def no_history(spec):
    return NoHistory()


class NoVariables(Quadratic):
    variables = ()


def no_variables(spec):
    return NoVariables()


not_callable = 3
