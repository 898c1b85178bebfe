import gc
import threading

import numpy as np
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.hostsync.repeats import Repeats


def test_reads_of_remembered_tensors_are_found():
    first, second = tf.constant(1.0), tf.constant(2.0)
    repeats = Repeats()
    with repeats.remembering():
        float(first)
        np.asarray(first)
    with hostsync.record() as log, repeats.finding() as again:
        float(second)
        float(first)
        np.asarray(first)
    assert again == log.reads[1:]


def test_another_tensor_at_the_same_address_is_not_taken_for_it():
    repeats = Repeats()
    with repeats.remembering():
        float(tf.constant(1.0))
    gc.collect()
    with repeats.finding() as again:
        for _ in range(50):
            float(tf.constant(1.0))
    assert again == []


def test_threads_are_distinguished():
    old, new = tf.constant(1.0), tf.constant(2.0)
    repeats = Repeats()
    with repeats.remembering():
        float(old)
    with repeats.finding() as again:
        threads = [threading.Thread(target=lambda t=t: [float(t) for _ in range(50)]) for t in (old, new)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(again) == 50
