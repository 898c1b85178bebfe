import pytest

from bench import arms
from bench.errors import UsageError
from bench.loop import load


def test_defaults_can_be_loaded():
    assert callable(load(arms.BEFORE))
    assert callable(load(arms.AFTER))
    assert arms.faults(arms.BEFORE, arms.AFTER) == arms.FAULTS
    assert arms.faults(arms.BEFORE, "my.package:loop") == arms.FAULTS_OF_ANY_LOOP


def test_faults_hit_the_built_in_networks(tiny, lines):
    from seqgan.networks import Networks

    names = [weight.path for weight in Networks(tiny, lines.sizes).weights]
    for fault in arms.FAULTS:
        hit = [name for name in names if fault.hits(name)]
        assert hit
        assert all(name.startswith(f"{fault.target}/") for name in hit)


def test_wrong_options_are_found_before_anything_slow(script):
    arms.check(arms.BEFORE, arms.AFTER, "tiny", 0, {"script": str(script)})
    arms.check("my.package:old", "my.package:new", "huge", 0, {"script": "none.csv"})  # for them to know
    for preset, options, says in (
        ("huge", {}, "preset 'huge' is unknown"),
        ("tiny", {"speed": 3}, "config field 'speed' is unknown"),
        ("paper", {"script": str(script)}, "speeches=40 must be at least batch_size=64"),
        ("tiny", {"script": "none.csv"}, r"script none\.csv: no such file"),
    ):
        for pair in ((arms.BEFORE, arms.AFTER), (arms.BEFORE, "my.package:new")):
            with pytest.raises(UsageError, match=says):
                arms.check(*pair, preset, 0, options)
