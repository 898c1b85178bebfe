"""Tests of a project that uses hostsync's markers and fixture."""

import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.max_host_syncs(1)
@pytest.mark.max_retraces(0)
def test_within_its_budget():
    np.asarray(tf.function(lambda x: x + 1)(tf.constant(1.0)))


@pytest.mark.xfail(strict=True, reason="it reads twice")
@pytest.mark.max_host_syncs(1)
def test_over_its_budget():
    float(tf.constant(1.0)), float(tf.constant(2.0))


def test_fixture(host_syncs):
    float(tf.constant(1.0))
    assert [read.route for read in host_syncs.reads] == ["float"]
