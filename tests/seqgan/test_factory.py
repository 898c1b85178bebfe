from types import SimpleNamespace

import numpy as np
import pytest

from loop_bench import baseline, seqgan
from loop_bench.seqgan import dataset
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.networks import Networks


def spec(**options):
    return SimpleNamespace(preset="tiny", seed=5, options=options)


def test_options_are_config_fields_and_a_script(script):
    config, data, networks = seqgan.resolve(spec(script=str(script), epochs=9))
    assert (config.seed, config.epochs) == (5, 9)
    assert data.vocabulary.characters == ("Hamlet", "Ophelia")
    assert networks is None


def test_options_give_the_format_of_the_script(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("Who;text\n" + "Änne;Hello, you\n" * 16, encoding="latin-1")
    written = {"columns": "character=Who", "delimiter": ";", "encoding": "latin-1"}
    _, data, _ = seqgan.resolve(spec(script=str(path), **written))
    assert data.vocabulary.characters == ("Änne",)


def test_unknown_option():
    with pytest.raises(InputError, match="'epoch' is unknown"):
        seqgan.resolve(spec(epoch=9))


@pytest.mark.slow
def test_both_loops_begin_with_the_same_trained_networks():
    """The networks are the same bit for bit, whatever the other options."""
    quick = {"pretrained": True, "mle_epochs": 1, "jit_compile": False}
    before = baseline.make_loop(spec(**quick))
    after = seqgan.make_loop(spec(**quick, temperature_start=0.8, temperature_end=0.8, temperature_decay=1.0))
    fresh = Networks(before.config, dataset.load(before.config).sizes)
    for one, other in zip(before.networks.variables, after.networks.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    for network in ("generator", "discriminator"):
        trained, untrained = (getattr(each, network).weights[0] for each in (before.networks, fresh))
        assert np.any(trained.numpy() != untrained.numpy())
    assert before.evaluate() == after.evaluate()
