"""Every known way in which Python makes TensorFlow read a tensor to the host, each on its own line.

READS are recorded as one read each; SEVERAL as more than one; NO_READS look like reads and are none; UNSEEN give the
host the value, or let it decide something, without Python. `test_routes.py` tests all of them, and compares the tables
in docs/reference/routes.md with them, so that no change of these lists goes unnoticed.
"""
# fmt: off

import array
import io
import logging
import math
import operator
import pickle
import struct
import tempfile
from copy import copy, deepcopy
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import scipy.stats
import tensorflow as tf

FOLDER = Path(tempfile.mkdtemp(prefix="planted"))
log = logging.Logger("planted")
log.addHandler(logging.StreamHandler(io.StringIO()))


class t:  # noqa: N801  (short, for the lines below)
    """Values that the lines below read."""

    f3 = tf.constant([1.0, 2.0, 3.0])
    d2 = tf.constant([[1.0, 2.0]], tf.float64)
    s = tf.constant(2.0)
    i = tf.constant(1)
    i3 = tf.constant([1, 2, 0])
    b = tf.constant(True)
    half = tf.constant([1.0, 2.0], tf.bfloat16)
    text = tf.constant(["ab", "c"])
    words = tf.constant([["to", "be"], ["or", "not to"]])
    none = tf.zeros([0, 2])
    z = tf.constant(1 + 2j)
    v = tf.Variable([1.0, 2.0])
    vs = tf.Variable(2.0)
    k = keras.Variable([1.0, 2.0])
    ks = keras.Variable(2.0)
    ragged = tf.ragged.constant([[1.0], [2.0, 3.0]])
    sparse = tf.sparse.from_dense([1.0, 0.0])
    a = np.zeros(3, np.float32)
    layer = keras.layers.Dense(2, use_bias=False)
    layer.build((None, 3))
    sgd = keras.optimizers.SGD(0.1)
    metric = keras.metrics.Mean()
    summary = tf.raw_ops.WriteScalarSummary
    writer = tf.raw_ops.SummaryWriter()
    tf.raw_ops.CreateSummaryFileWriter(
        writer=writer, logdir=f"{FOLDER}/events", max_queue=1, flush_millis=1, filename_suffix=""
    )


# Route, bytes, and the line that reads. A read belongs to the line of its lambda.
READS = [
    # Methods of a tensor
    ("numpy", 12, lambda: t.f3.numpy()),
    ("numpy", 16, lambda: t.d2.numpy()),
    ("numpy", 4, lambda: t.half.numpy()),
    ("numpy", 3, lambda: t.text.numpy()),
    ("numpy", 16, lambda: t.z.numpy()),
    ("array", 12, lambda: t.f3.__array__()),
    ("float", 4, lambda: float(t.s)),
    ("int", 4, lambda: int(t.s)),
    ("complex", 16, lambda: complex(t.z)),
    # Where Python wants to know whether it is true
    ("bool", 1, lambda: bool(t.b)),
    ("bool", 1, lambda: 1 if t.b else 2),
    ("bool", 1, lambda: not t.b),
    ("bool", 1, lambda: t.b and 1),
    ("bool", 1, lambda: any([t.b])),
    ("bool", 1, lambda: all([t.b])),
    ("bool", 1, lambda: list(filter(None, [t.b]))),
    ("bool", 1, lambda: max(t.s, t.s + 1)),
    ("bool", 1, lambda: sorted([t.s, t.s + 1])),
    ("bool", 1, lambda: 2.0 in [t.s]),
    ("bool", 1, lambda: [t.s].index(2.0)),
    ("bool", 1, lambda: 1 < t.i + 1 < t.i),
    # Where it wants an index or a number
    ("index", 4, lambda: [0, 1, 2][t.i]),
    ("index", 4, lambda: [0, 1, 2][t.i:]),
    ("index", 4, lambda: range(t.i)),
    ("index", 4, lambda: operator.index(t.i)),
    ("index", 4, lambda: hex(t.i)),
    ("index", 4, lambda: math.gcd(t.i, 4)),
    ("index", 4, lambda: t.a[t.i]),
    ("index", 4, lambda: np.zeros(t.i)),
    ("float", 4, lambda: math.sqrt(t.s)),
    ("float", 4, lambda: math.isinf(t.s)),
    ("float", 4, lambda: struct.pack("f", t.s)),
    ("float", 4, lambda: array.array("f", [t.s])),
    ("float", 4, lambda: "%.2f" % t.s),  # noqa: UP031
    # Text
    ("format", 4, lambda: f"{t.s:.3f}"),
    ("format", 4, lambda: f"{t.s}"),
    ("format", 4, lambda: "{}".format(t.s)),  # noqa: UP032
    ("str", 12, lambda: str(t.f3)),
    ("str", 4, lambda: "%s" % t.s),  # noqa: UP031
    ("str", 4, lambda: print(t.s, file=io.StringIO())),
    ("repr", 12, lambda: repr(t.f3)),
    ("repr", 4, lambda: str([t.s])),
    ("repr", 4, lambda: f"{t.s!r}"),
    ("str", 4, lambda: log.error("%s", t.s)),
    # Copies that Python asks for
    ("reduce", 12, lambda: pickle.dumps(t.f3)),
    ("copy", 12, lambda: t.f3.cpu()),
    ("dlpack", 12, lambda: tf.experimental.dlpack.to_dlpack(t.f3)),
    ("dlpack", 12, lambda: np.from_dlpack(t.f3)),
    # NumPy, which takes a tensor's buffer
    ("asarray", 12, lambda: np.asarray(t.f3)),
    ("asarray", 16, lambda: np.asarray(t.d2)),
    ("asarray", 4, lambda: np.asarray(t.half)),
    ("asarray", 3, lambda: np.asarray(t.text)),
    ("asarray", 12, lambda: np.asarray(t.f3, np.float64)),
    ("array", 12, lambda: np.array(t.f3)),
    ("asanyarray", 12, lambda: np.asanyarray(t.f3)),
    ("ascontiguousarray", 12, lambda: np.ascontiguousarray(t.f3)),
    ("float32", 4, lambda: np.float32(t.s)),
    ("int64", 4, lambda: np.int64(t.i)),
    ("bool_", 1, lambda: np.bool_(t.b)),
    ("add", 12, lambda: np.add(t.f3, 1)),
    ("isnan", 12, lambda: np.isnan(t.f3)),
    ("isfinite", 4, lambda: np.isfinite(t.s)),
    ("mean", 12, lambda: np.mean(t.f3)),
    ("sum", 12, lambda: np.sum(t.f3)),
    ("argmax", 12, lambda: np.argmax(t.f3)),
    ("norm", 12, lambda: np.linalg.norm(t.f3)),
    ("concatenate", 12, lambda: np.concatenate([t.f3])),
    ("stack", 12, lambda: np.stack([t.f3])),
    ("where", 12, lambda: np.where(t.f3)),
    ("copy", 12, lambda: np.copy(t.f3)),
    ("copyto", 12, lambda: np.copyto(t.a, t.f3)),
    ("put", 12, lambda: t.a.put([0, 1, 2], t.f3)),
    ("take", 12, lambda: t.a.take(t.i3)),
    ("asarray", 12, lambda: np.asarray(t.words)),
    ("asarray", 0, lambda: np.asarray(t.none)),
    ("setitem", 12, lambda: t.a.__setitem__(slice(None), t.f3)),
    ("full", 4, lambda: np.full(2, t.s)),
    ("linspace", 4, lambda: np.linspace(0, t.s, 3)),
    ("choice", 12, lambda: np.random.default_rng(0).choice(t.f3)),
    ("allclose", 4, lambda: np.allclose(t.s, 2.0)),
    ("array_equal", 12, lambda: np.array_equal(t.f3, t.a)),
    ("assert_allclose", 12, lambda: np.testing.assert_allclose(t.f3, [1.0, 2.0, 3.0])),
    ("save", 12, lambda: np.save(FOLDER / "saved.npy", t.f3)),
    ("savez", 12, lambda: np.savez(FOLDER / "saved.npz", t.f3)),
    # Others that take a buffer
    ("frombuffer", 12, lambda: np.frombuffer(t.f3, np.float32)),
    ("memoryview", 12, lambda: memoryview(t.f3)),
    ("write", 12, lambda: io.BytesIO().write(t.f3)),
    ("join", 12, lambda: b"".join([t.f3])),
    ("unpack_from", 12, lambda: struct.unpack_from("f", t.f3)),
    ("Series", 12, lambda: pd.Series(t.f3)),
    ("gmean", 12, lambda: scipy.stats.gmean(t.f3)),
    # Variables
    ("numpy", 8, lambda: t.v.numpy()),
    ("float", 4, lambda: float(t.vs)),
    ("int", 4, lambda: int(t.vs)),
    ("asarray", 8, lambda: np.asarray(t.v)),
    ("repr", 8, lambda: repr(t.v)),
    ("numpy", 8, lambda: t.k.numpy()),
    ("float", 4, lambda: float(t.ks)),
    ("asarray", 8, lambda: np.asarray(t.k)),
    ("repr", 8, lambda: repr(t.k)),
    # Keras
    ("convert_to_numpy", 12, lambda: keras.ops.convert_to_numpy(t.f3)),
    ("convert_to_numpy", 8, lambda: keras.ops.convert_to_numpy(t.k)),
    ("get_weights", 24, lambda: t.layer.get_weights()),
    ("float", 4, lambda: float(t.sgd.learning_rate)),
    ("float", 4, lambda: float(t.metric.result())),
    ("cond", 1, lambda: keras.ops.cond(t.b, lambda: t.s, lambda: t.s)),
    # TensorFlow's own Python, run eagerly
    ("get_static_value", 12, lambda: tf.get_static_value(t.f3)),
    ("make_tensor_proto", 12, lambda: tf.make_tensor_proto(t.f3)),
    ("cond", 1, lambda: tf.cond(t.b, lambda: t.s, lambda: t.s)),
    ("while_loop", 1, lambda: tf.while_loop(lambda x: x < 0, lambda x: x, [t.i])),
    ("switch_case", 4, lambda: tf.switch_case(t.i, [lambda: t.s, lambda: t.s])),
    ("Assert", 1, lambda: tf.debugging.Assert(t.b, [t.s])),
    ("assert_equal", 1, lambda: tf.debugging.assert_equal(t.s, 2.0)),
    ("assert_less", 1, lambda: tf.debugging.assert_less(t.s, 3.0)),
    ("assert_positive", 1, lambda: tf.debugging.assert_positive(t.s)),
    ("assert_rank", 4, lambda: tf.debugging.assert_rank(t.f3, 1)),
    ("zeros", 4, lambda: tf.zeros([t.i])),
    ("gather", 4, lambda: tf.gather(t.d2, 0, axis=t.i)),
    ("set_seed", 4, lambda: tf.random.set_seed(t.i)),
    ("next", 8, lambda: next(tf.data.Dataset.range(2).as_numpy_iterator())),
    ("int", 8, lambda: int(tf.data.Dataset.range(2).cardinality())),
    ("numpy_function", 4, lambda: tf.numpy_function(lambda x: x, [t.s], tf.float32)),
    # A tensor that is captured while a function is traced
    ("binary_op_wrapper", 4, lambda: tf.function(lambda x: x * t.s).get_concrete_function(t.f3)),
]

# Route and bytes of each read, in order.
SEVERAL = [
    ([("stack", 12), ("stack", 12)], lambda: np.stack([t.f3, t.f3])),
    ([("dot", 12), ("dot", 12)], lambda: np.dot(t.f3, t.a)),  # NumPy looks at it once for the type
    ([("array", 4), ("float", 4)], lambda: np.array([t.s])),  # and here
    ([("index", 12), ("getitem", 12)], lambda: t.a[t.i3]),
    ([("index", 12), ("bytes", 12)], lambda: bytes(t.f3)),  # is it a length, or a buffer?
    ([("case", 1), ("case", 1)], lambda: tf.case([(t.b, lambda: t.s)])),
    ([("len", 8), ("len", 8), ("index", 8)], lambda: len(tf.data.Dataset.range(2))),
    ([("float", 4)] * 3, lambda: [float(x) for x in t.f3]),
    ([("numpy", 12), ("numpy", 24)], lambda: t.ragged.numpy()),
    ([("repr", 8), ("repr", 4), ("repr", 8)], lambda: repr(t.sparse)),
    ([("TensorShape", 4)] * 3, lambda: tf.TensorShape(t.i3)),
    ([("assert_near", 4), ("assert_near", 4), ("assert_near", 1)], lambda: tf.debugging.assert_near(t.s, 2.0)),
    ([("map_fn", 4)] + [("map_fn", n) for n in (1, 4, 4)] * 3 + [("map_fn", 1)], lambda: tf.map_fn(lambda x: x, t.f3)),
    ([("pad_sequences", 12)] * 2, lambda: keras.utils.pad_sequences([t.i3])),
]

NO_READS = [
    lambda: len(t.f3),
    lambda: list(t.f3),
    lambda: tf.unstack(t.f3),
    lambda: t.f3.shape,
    lambda: t.f3.dtype,
    lambda: t.f3 + t.a,
    lambda: t.a + t.f3,  # the tensor's __radd__ takes over
    lambda: t.f3 == 2.0,
    lambda: t.f3[0],
    lambda: t.f3[t.i:],
    lambda: tf.gather(t.f3, t.i),
    lambda: tf.reshape(t.f3, [t.i, 3]),
    lambda: tf.range(t.i),
    lambda: tf.constant(t.f3),
    lambda: tf.convert_to_tensor([t.f3, t.f3]),
    lambda: tf.reduce_mean(t.f3),
    lambda: tf.identity(t.f3),
    lambda: tf.where(t.b, t.f3, t.f3),
    lambda: tf.clip_by_global_norm([t.f3], 1.0),
    lambda: copy(t.f3),
    lambda: deepcopy(t.f3),
    lambda: keras.ops.shape(t.f3),
    lambda: t.v.assign(t.v),
    lambda: t.metric.update_state(t.f3),
    lambda: tf.function(lambda x: x + 1)(t.f3),
    lambda: tf.function(lambda x: x + 1, jit_compile=True)(t.f3),
]

# The kinds that `log.host_ops` gives, for what is traced in a graph; None for an op that runs eagerly.
UNSEEN = [
    (None, lambda: tf.print(t.s, output_stream=f"file://{FOLDER}/printed")),
    (None, lambda: tf.py_function(lambda x: x, [t.s], tf.float32)),
    (None, lambda: t.summary(writer=t.writer, step=1, tag="loss", value=t.s)),  # what tf.summary.scalar runs
    (None, lambda: tf.where(t.f3 > 1)),
    (None, lambda: tf.boolean_mask(t.f3, t.f3 > 1)),
    (None, lambda: tf.unique(t.f3)),
    (None, lambda: tf.dynamic_partition(t.f3, t.i3, 3)),
    (None, lambda: tf.strings.as_string(t.f3)),
    (None, lambda: tf.strings.format("{}", t.f3)),
    (None, lambda: tf.io.serialize_tensor(t.f3)),
    (None, lambda: tf.io.write_file(f"{FOLDER}/written", tf.io.serialize_tensor(t.f3))),
    (None, lambda: tf.raw_ops.SaveV2(prefix=f"{FOLDER}/v", tensor_names=["v"], shape_and_slices=[""], tensors=[t.f3])),
    (None, lambda: tf.debugging.check_numerics(t.f3, "not finite")),
    (None, lambda: in_host_memory(t.f3)),
    (None, lambda: tf.data.Dataset.from_tensor_slices(t.f3)),
    (None, lambda: session_run([1.0, 2.0])),
    ("text, print", lambda: traced(lambda x: tf.print(x, output_stream=f"file://{FOLDER}/printed"))(t.f3)),
    ("text", lambda: traced(lambda x: tf.strings.as_string(x))(t.f3)),
    ("py_function", lambda: traced(lambda x: tf.py_function(lambda y: y, [x], tf.float32))(t.f3)),
    ("numpy_function", lambda: traced(lambda x: tf.numpy_function(lambda y: y, [x], tf.float32))(t.f3)),
    ("summary", lambda: traced(lambda x: t.summary(writer=t.writer, step=1, tag="loss", value=x[0]))(t.f3)),
    ("assertion, control flow", lambda: traced(lambda x: tf.debugging.assert_positive(x))(t.f3)),
    ("assertion", lambda: traced(lambda x: tf.debugging.check_numerics(x, "not finite"))(t.f3)),
    ("placed on the CPU", lambda: traced(lambda x: in_host_memory(x))(t.f3)),
    ("control flow", lambda: traced(lambda x: tf.cond(x[0] > 0, lambda: x, lambda: -x))(t.f3)),
    ("control flow", lambda: traced(lambda x: tf.while_loop(lambda y: y[0] < 9, lambda y: (y + 1,), [x]))(t.f3)),
    ("control flow", lambda: traced(lambda x: tf.switch_case(tf.cast(x[0], tf.int32), [lambda: x, lambda: -x]))(t.f3)),
    ("size of a result", lambda: traced(lambda x: tf.where(x > 1))(t.f3)),
    ("size of a result", lambda: traced(lambda x: tf.boolean_mask(x, x > 1))(t.f3)),
    ("size of a result", lambda: traced(lambda x: tf.unique(x))(t.f3)),
    ("file, file", lambda: traced(lambda x: tf.io.write_file(f"{FOLDER}/written", tf.io.serialize_tensor(x)))(t.f3)),
]


def traced(function):
    """A graph of the function; an op without a result runs for its effect."""

    @tf.function(autograph=False)
    def graph(x):
        result = function(x)
        return None if isinstance(result, tf.Operation) else result

    return graph


def in_host_memory(tensor):
    """Runs an op on the CPU, which copies its inputs there."""
    with tf.device("CPU:0"):
        return tf.negative(tensor)


def session_run(values):
    """Runs a session of TensorFlow 1, which returns arrays."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(tf.negative(values))
