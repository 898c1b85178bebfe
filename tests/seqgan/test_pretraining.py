import dataclasses

import numpy as np
import pytest

from loop_bench.seqgan.checkpoint import variable_name
from loop_bench.seqgan.errors import NonFiniteUpdatesError
from loop_bench.seqgan.loop import OptimizedLoop
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.pretraining import Pretraining, pretrained


@pytest.fixture(scope="module")
def traced(tiny, lines):
    """Pre-training with its networks, shared because tracing is slow, and the initial values of all variables."""
    networks = Networks(tiny, lines.sizes)
    training = Pretraining(tiny, lines, networks)
    return training, networks, [variable.numpy() for variable in (*networks.variables, *training.variables)]


@pytest.fixture
def networks(traced):
    training, networks, first = traced
    for variable, value in zip((*networks.variables, *training.variables), first, strict=True):
        variable.assign(value)
    return networks


@pytest.fixture
def training(traced, networks):
    """Pre-training of the networks."""
    return traced[0]


def test_likelihood_rises(tiny, training):
    batches = []
    losses = [training.generator_epoch(epoch, lambda: batches.append(1))["mle_loss"] for epoch in range(4)]
    assert all(values.shape == (20,) for values in losses)
    assert len(batches) == 80
    assert losses[0][0] == pytest.approx(np.log(tiny.vocabulary_size), abs=0.1)  # it knows nothing yet
    assert losses[3].mean() < losses[0].mean() - 0.3


def test_discriminator_learns_to_classify(training):
    epochs = [training.discriminator_epoch(epoch) for epoch in range(6)]
    assert all(set(epoch) == {"d_loss", "d_accuracy"} for epoch in epochs)
    assert epochs[5]["d_loss"].mean() < epochs[0]["d_loss"].mean()
    assert epochs[5]["d_accuracy"].mean() > 0.6


def test_too_many_skipped_updates_raise(tiny, lines, networks, training):
    weight = networks.generator.trainable_variables[-1]
    weight.assign(np.full(weight.shape, np.nan, np.float32))
    says = (
        r"generator: 20 updates in a row.*batches 0 to 19, .*weights are not finite \(generator/output/bias and 0 more"
    )
    with pytest.raises(NonFiniteUpdatesError, match=says):
        training.generator_epoch(0)
    with pytest.raises(
        NonFiniteUpdatesError,
        match=r"discriminator: 20 updates.*batches 20 to 39, .*weights of the discriminator as they were",
    ):
        training = Pretraining(tiny, lines, Networks(tiny, lines.sizes))
        training._d_update.consecutive.assign(20)
        training._raise_when_stuck(training._d_update, "discriminator", 1)


def test_the_guards_are_kept_beside_those_of_the_loop(tiny, lines, networks, training):
    names = [variable_name(variable) for variable in training.variables]
    others = [variable_name(variable) for variable in OptimizedLoop(tiny, lines, networks).variables]
    assert len(names) == 8
    assert not set(names) & set(others)


@pytest.mark.slow
def test_the_generator_comes_first_and_the_discriminator_learns_to_tell_its_lines(tiny, lines, networks, training):
    for epoch in range(tiny.mle_epochs):
        training.generator_epoch(epoch)
    training.discriminator_epoch(0)
    found = pretrained(tiny, lines)
    for one, other in zip(networks.variables, found.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    none = pretrained(dataclasses.replace(tiny, mle_epochs=0, d_epochs=0), lines)
    assert int(none.mle_optimizer.iterations) == int(none.d_optimizer.iterations) == 0
