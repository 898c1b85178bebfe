from seqgan.evaluation import oracle_nll
from seqgan.networks import Networks
from seqgan.pretraining import Pretraining


def test_what_is_learned_lowers_the_nll_towards_the_oracles_own(tiny, lines):
    networks = Networks(tiny, lines.sizes)
    before, own = oracle_nll(tiny, lines, networks.generator)
    training = Pretraining(tiny, lines, networks)
    for epoch in range(8):
        training.generator_epoch(epoch)
    after, same = oracle_nll(tiny, lines, networks.generator)
    assert own == same
    assert own < after < before - 0.5
