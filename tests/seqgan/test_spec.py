from types import SimpleNamespace

import pytest

from seqgan.errors import InputError
from seqgan.spec import resolve


def spec(**options):
    return SimpleNamespace(preset="tiny", seed=5, options=options)


def test_options_are_config_fields_and_a_script(script):
    config, data = resolve(spec(script=str(script), epochs=9))
    assert (config.seed, config.epochs) == (5, 9)
    assert data.vocabulary.characters == ("Hamlet", "Ophelia")


def test_unknown_option():
    with pytest.raises(InputError, match="'epoch' is unknown"):
        resolve(spec(epoch=9))
