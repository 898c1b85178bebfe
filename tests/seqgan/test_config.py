import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.seqgan import protection, sampler
from loop_bench.seqgan.config import PRESETS, PROTECTIONS, SAMPLERS, Config
from loop_bench.seqgan.errors import InputError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name):
    assert Config.preset(name).batch_size > 0


def test_paper_has_the_sizes_of_the_paper():
    config = Config.preset("paper")
    assert (config.batch_size, config.sequence_length, config.vocabulary_size) == (64, 20, 5000)
    assert (config.embedding_size, config.hidden_size) == (32, 32)


def test_script_has_the_sizes_asked_for():
    config = Config.preset("script")
    assert (config.batch_size, config.sequence_length, config.vocabulary_size) == (64, 40, 10000)
    assert (config.embedding_size, config.hidden_size) == (128, 512)


def test_constants_of_the_change_are_fields():
    config = Config()
    assert (config.temperature_start, config.temperature_end, config.temperature_decay) == (2.0, 0.5, 0.95)
    assert (config.temperature_fixed, config.clip_norm, config.d_train_interval) == (0.8, 5.0, 1)


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(InputError, match=r"'huge' is unknown.*tiny, paper, script"):
        Config.preset("huge")


def test_unknown_field_names_the_valid_ones_and_the_likely_one():
    with pytest.raises(InputError, match=r"'batchsize' is unknown \(did you mean batch_size\?\).*clip_norm"):
        Config.preset("tiny", batchsize=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("batch_size", "8"),
        ("batch_size", True),
        ("epochs", -1),
        ("sequence_length", 1),
        ("temperature_decay", 1.5),
        ("temperature_decay", 0.0),
        ("clip_norm", float("nan")),
        ("clip_norm", float("inf")),
        ("g_learning_rate", "fast"),
        ("clip_ratio", 1.0),
        ("protection", "hope"),
        ("protection", None),
        ("sampler", "best"),
        ("jit_compile", 1),
        ("filter_widths", ()),
        ("filter_widths", (2, 0)),
        ("filter_widths", (2, 99)),
        ("seed", -1),
        ("temperature_end", 3.0),
        ("held_out", 1.0),
        ("held_out", -0.1),
        ("held_out", True),
        ("pretrained", 1),
        ("replicas", 0),
        ("replicas", 3),  # of 16 lines
        ("evaluation_temperature", 0.0),
    ],
)
def test_value_out_of_range_names_field_and_value(field, value):
    with pytest.raises(InputError, match=rf"{field}=") as caught:
        Config.preset("tiny", **{field: value})
    assert "must" in str(caught.value)


def test_names_are_those_that_exist():
    assert tuple(sampler.BY_NAME) == SAMPLERS
    assert tuple(protection.BY_NAME) == PROTECTIONS


def test_survives_json():
    config = Config.preset("tiny", epochs=7)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_annealing_reaches_the_floor_in_epoch_28():
    config = Config()
    meets = math.log(config.temperature_end / config.temperature_start) / math.log(config.temperature_decay)
    assert meets == pytest.approx(27.03, abs=0.005)
    assert config.annealed_temperature(27) > config.temperature_end
    assert config.annealed_temperature(28) == config.temperature_end


@pytest.mark.parametrize(("epoch", "expected"), [(0, 2.0), (4, 1.63), (9, 1.26), (14, 0.98), (19, 0.75)])
def test_annealed_temperatures(epoch, expected):
    assert Config().annealed_temperature(epoch) == pytest.approx(expected, abs=0.005)


@given(
    start=st.floats(0.5, 10.0),
    decay=st.floats(0.01, 1.0),
    epoch=st.integers(0, 10_000),
)
def test_annealing_falls_and_stays_above_the_floor(start, decay, epoch):
    config = Config(temperature_start=start, temperature_end=0.5, temperature_decay=decay)
    assert start >= config.annealed_temperature(epoch) >= config.annealed_temperature(epoch + 1) >= 0.5
