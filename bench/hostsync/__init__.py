"""Counts each time the host reads a tensor, and says where; for any TensorFlow program.

    with hostsync.record() as log:
        train_step(batch)
    for read in log.reads:
        print(read.file, read.line, read.route, read.nbytes)

Seen are the reads that go through Python (`.numpy()`, `float(t)`, `if t:`, `print(t)`, ...) and those that go
past it through the buffer protocol (`np.asarray(t)`, `np.mean(t)`, `memoryview(t)`, ...). Not seen are copies to
the host that stay tensors (`t.cpu()`, DLPack), and reads inside TensorFlow's runtime: `tf.print`,
`tf.py_function` and their like in graphs, ops that run on the CPU and take their input from a GPU, and control
flow on a device value.
"""

from bench.hostsync.recorder import Log, Read, record

__all__ = ["Log", "Read", "record"]
