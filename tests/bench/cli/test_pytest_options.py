import pytest
from runs import config

from loop_bench.cli import options, pytest_options
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import STARTING, Flag


def test_the_options_of_a_run_have_values():
    found = pytest_options.asked(config())
    assert (found["batches"], found["rounds"], found["seed"], found["max_time"]) == (10, None, 0, None)
    assert (found["precision"], found["preset"], found["survival"]) == (0.03, None, "short")
    given = {"preset": "tiny", "batches": "3", "rounds": "7", "precision": "5%", "max_time": "60", "seed": "2"}
    settings = pytest_options.settings(config(**given))
    assert (settings.batches, settings.rounds, settings.precision) == (3, 7, 0.05)
    assert (settings.max_time, settings.seed, settings.options) == (60.0, 2, {})


@pytest.mark.parametrize("name", [each.name for each in registry.experiments() if each.switch])
def test_an_experiment_is_in_a_run_when_its_option_is_given(name):
    experiment = registry.experiment(name)
    switch = experiment.switch.option
    assert pytest_options.asked_of(config(), experiment) is None
    value = True if isinstance(switch.kind, Flag) else ["batch=8,16"] if switch.repeated else "3"
    asked = pytest_options.asked_of(config(**{switch.key: value}), experiment)
    assert {option.key for option in options.of_command(experiment)} <= {*asked}
    assert experiment.seconds(asked) > 0


def test_how_long_experiments_take():
    def seconds(name, **given):
        experiment = registry.experiment(name)
        return experiment.seconds(pytest_options.asked_of(config(**given), experiment))

    assert seconds("convergence", convergence="3") == 180.0
    assert seconds("sweep", sweep=["size=1,2", "width=3"], max_time="60") == 60 + 3 * STARTING
    assert seconds("ladder", ladder=True) == 920.0
    assert seconds("ladder", ladder=True, rounds="5", batches="4") == 820.0
    assert seconds("profile", profile=True) == 60.0


def test_a_profile_has_its_own_batches_and_the_ladder_those_of_the_run():
    profile, ladder = registry.experiment("profile"), registry.experiment("ladder")
    assert pytest_options.asked_of(config(profile=True, batches="3"), profile)["batches"] == 50
    assert pytest_options.asked_of(config(ladder=True, batches="3"), ladder)["batches"] == 3


def test_each_loop_is_watched_for_less_where_batches_are_short():
    assert pytest_options.utilisation(config(), "paper") == 3.0
    assert pytest_options.utilisation(config(), "tiny") == 1.0
    assert pytest_options.utilisation(config(utilisation="7.5"), "tiny") == 7.5


def test_what_is_not_watched_takes_no_time():
    assert pytest_options.utilisation(config(utilisation="0"), "paper") == 0.0


@pytest.mark.parametrize("text", ["-1", "long", "nan", "inf"])
def test_a_time_must_be_one(text):
    with pytest.raises(UsageError, match=f"--utilisation '{text}': must be a number of at least zero"):
        pytest_options.utilisation(config(utilisation=text), "tiny")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"preset": "huge"}, "preset 'huge' is unknown; the presets are tiny, paper, script"),
        ({"batches": "0"}, "--batches '0': must be a whole number of at least 1"),
        ({"rounds": "many"}, "--rounds 'many': must be a whole number of at least 1"),
        ({"precision": "3"}, "--precision '3': must be a percentage above zero with its sign, such as 5%"),
        ({"max_time": "0"}, "--max-time '0': must be a number above zero"),
        ({"utilisation": "-1"}, "--utilisation '-1': must be a number of at least zero"),
        ({"max_syncs": "few"}, "--max-syncs 'few': must be a number of at least zero"),
        ({"max_slowdown": "-5%"}, "--max-slowdown '-5%': must be a percentage above zero"),
        ({"reference": "none.json"}, "record none.json: cannot be read"),
        ({"seed": "-1"}, "--seed '-1': must be a whole number of at least 0"),
        ({"script": "none.csv"}, "script none.csv: no such file"),
        ({"script": "."}, "script .: is a folder; name a file in it"),
        ({"script": __file__, "columns": "who=A"}, "--columns 'who=A': role 'who' is unknown"),
        ({"columns": "text=Line"}, "--columns 'text=Line': says how a script is written; needs --script as well"),
        ({"results": "/dev/null/x"}, "--results /dev/null/x: cannot be written"),
        ({"numprocesses": 2}, "-n: parallel tests would disturb the timing"),
        ({"convergence": "many"}, "--convergence 'many': must be a whole number of at least 1"),
        ({"preset": "tiny", "sweep": ["size=1,2"]}, "axis 'size' is unknown"),
        ({"preset": "tiny", "sweep": ["size"]}, "--sweep 'size': must be an axis and its values"),
        ({"preset": "tiny", "sweep": ["tokens=1"]}, "sequence_length=1 must be"),
        ({"on": "local:2"}, "--on local:2: needs --survival full, --convergence, --sweep or --ladder"),
        ({"on": "somewhere", "survival": "full"}, "--on 'somewhere': must be a Dask scheduler"),
        ({"on": "127.0.0.1:1", "ladder": True}, "--on tcp://127.0.0.1:1: nothing answers there (Connection refused)"),
        ({"on": "local:2", "survival": "full", "isolate": True}, "--on local:2: only for arms in this environment"),
    ],
)
def test_a_run_is_refused_in_one_line_before_anything_slow(given, says):
    with pytest.raises(UsageError) as refused:
        pytest_options.check(config(**given))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_default_run_is_not_refused():
    pytest_options.check(config())


@pytest.mark.parametrize("given", [{"survival": "full"}, {"convergence": "3"}, {"ladder": True}])
def test_a_run_whose_trials_go_to_a_cluster_is_not_refused(given):
    pytest_options.check(config(on="local:2", **given))
