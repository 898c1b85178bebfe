"""Small training loops with known behaviour, for tests of the harness; they know nothing of it."""

import warnings

import numpy as np
import tensorflow as tf


class Quadratic:
    """Adam towards the optimum at 3; a batch is one step. No reads of the device but for the history."""

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
    """The same with an update that is skipped when it is not finite, and clipped to a norm of 1."""

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2)
        (gradient,) = tape.gradient(loss, [self.weight])
        if tf.reduce_all(tf.math.is_finite(gradient)):
            self.optimizer.apply([tf.clip_by_norm(gradient, 1.0)], [self.weight])
        return loss


class Late(Guarded):
    """Its optimizer makes its state in the first batch; and it names its weights last."""

    def __init__(self):
        super().__init__()
        self.optimizer = tf.keras.optimizers.Adam(0.01)

    @property
    def variables(self):
        return [*self.optimizer.variables, self.weight]


class Zeroing(Quadratic):
    """A gradient that is not finite is made zero, which Adam's moments do not take for no update."""

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2)
        (gradient,) = tape.gradient(loss, [self.weight])
        self.optimizer.apply([tf.where(tf.math.is_finite(gradient), gradient, 0.0)], [self.weight])
        return loss


class Counting(Guarded):
    """Skips an update, but not its number."""

    def _step(self):
        self.optimizer.iterations.assign_add(1)
        return super()._step()


class Gathering(Quadratic):
    """Gathers the gradients of four batches, and moves its weight in the last of them only."""

    def __init__(self):
        super().__init__()
        self.optimizer = tf.keras.optimizers.Adam(0.01, gradient_accumulation_steps=4)
        self.optimizer.build([self.weight])


class Descending(Quadratic):
    """Without Adam's normalisation, a spike of the gradient is a jump of the weights."""

    def __init__(self):
        super().__init__()
        self.optimizer = tf.keras.optimizers.SGD(0.01)
        self.optimizer.build([self.weight])


class Seldom(Quadratic):
    """Trains in every n-th batch only, and in no more than some."""

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
    """Stops at what is not a number."""

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
    """Says that it trained, and did not."""

    def run(self, batches):
        self.losses += [tf.constant(1.0)] * batches


def lazy(spec):
    return Lazy()


class Failing(Quadratic):
    """Dies after a while."""

    def run(self, batches):
        if len(self.losses) > 5:
            raise RuntimeError("out of something")
        super().run(batches)


def failing(spec):
    return Failing()


class Doomed(Quadratic):
    """Dies of its first batch, and always."""

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
    """Trains no more when its data have ended, and does not say so."""

    def run(self, batches):
        super().run(min(batches, 6 - len(self.losses)))


def stopping(spec):
    return Stopping()


class Dying(Quadratic):
    """Becomes not a number after a while, and goes on."""

    def run(self, batches):
        super().run(batches)
        if len(self.losses) > 5:
            self.weight.assign([float("nan")] * 4)


def dying(spec):
    return Dying()


class Deprecated(Quadratic):
    """Uses something that is deprecated."""

    def run(self, batches):
        warnings.warn("an old way of training", DeprecationWarning, stacklevel=1)
        super().run(batches)


def warning(spec):
    return Deprecated()


class Tapeless(Quadratic):
    """Knows its gradient."""

    def _step(self):
        self.optimizer.apply([(self.weight - 3.0) / 2], [self.weight])
        return tf.reduce_mean((self.weight - 3.0) ** 2)


class Growing(Quadratic):
    """Has no memory for sizes above 1."""

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
    """Says how far it is from its optimum, and how many batches make an epoch; can die, or become no number."""

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
    """Makes two devices of the CPU, or leaves them; RuntimeError where somebody has started it as one."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def configuring(spec):
    two_cpus()
    return Quadratic(spec.seed)


class Mirrored(Quadratic):
    """On two devices, with a copy of each variable on both."""

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
    """Each replica trains by itself after a while: the second moves its weight a bit more."""

    def __init__(self, seed=0, after=5):
        super().__init__(seed)
        self.after = after

    def run(self, batches):
        for _ in range(batches):
            super().run(1)
            if len(self.losses) > self.after:
                self.weight.values[1].assign_add([0.01] * 4)


class GuardedMirrored(Mirrored):
    """Skips an update whose summed gradient is not finite."""

    def _half(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2) / 2
        (gradient,) = tape.gradient(loss, [self.weight])
        total = tf.distribute.get_replica_context().all_reduce("SUM", gradient)
        good = tf.reduce_all(tf.math.is_finite(total))
        self.optimizer.apply([tf.where(good, gradient, 0.0)], [self.weight])
        return loss


class OnMachines(Mirrored):
    """A replica on each of several machines, which TF_CONFIG names."""

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
    """Fails on a worker after a while, and waits for it on the chief."""

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
