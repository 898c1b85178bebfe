import numpy as np
import pytest

from seqgan.errors import NonFiniteUpdatesError
from seqgan.networks import Networks
from seqgan.pretraining import Pretraining


@pytest.fixture
def networks(tiny, lines):
    return Networks(tiny, lines.sizes)


def test_likelihood_rises(tiny, lines, networks):
    training, batches = Pretraining(tiny, lines, networks), []
    losses = [training.generator_epoch(epoch, lambda: batches.append(1))["mle_loss"] for epoch in range(4)]
    assert all(values.shape == (20,) for values in losses)
    assert len(batches) == 80
    assert losses[0][0] == pytest.approx(np.log(tiny.vocabulary_size), abs=0.1)  # it knows nothing yet
    assert losses[3].mean() < losses[0].mean() - 0.3


def test_discriminator_learns_to_tell(tiny, lines, networks):
    training = Pretraining(tiny, lines, networks)
    epochs = [training.discriminator_epoch(epoch) for epoch in range(6)]
    assert all(set(epoch) == {"d_loss", "d_accuracy"} for epoch in epochs)
    assert epochs[5]["d_loss"].mean() < epochs[0]["d_loss"].mean()
    assert epochs[5]["d_accuracy"].mean() > 0.6


def test_says_when_nothing_is_learned_any_more(tiny, lines, networks):
    weight = networks.generator.trainable_variables[-1]
    weight.assign(np.full(weight.shape, np.nan, np.float32))
    with pytest.raises(NonFiniteUpdatesError, match="mle_adam: the last 20 gradients were not finite"):
        Pretraining(tiny, lines, networks).generator_epoch(0)
