import numpy as np
import pytest
import tensorflow as tf

from seqgan.inputs import existing


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    ("ids", "seen", "exist"),
    [
        ([[0, 4], [2, 3]], [[0, 4], [2, 3]], True),
        ([[0, 5], [2, 3]], [[0, 0], [2, 3]], False),
        ([[1, 4], [-1, 3]], [[1, 4], [0, 3]], False),
        ([[2**31 - 1, 1], [-(2**31), 3]], [[0, 1], [0, 3]], False),
    ],
)
def test_ids_that_do_not_exist_become_0_and_are_told(ids, seen, exist, compiled):
    found, all_exist = tf.function(lambda given: existing(given, 5), jit_compile=compiled)(tf.constant(ids))
    np.testing.assert_array_equal(found.numpy(), seen)
    assert found.dtype == tf.int32
    assert bool(all_exist) == exist
