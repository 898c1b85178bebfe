import inspect

import pytest
import runs
from runs import config

from loop_bench.cli import options
from loop_bench.cli.commands import COMMANDS
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import STARTING, Flag, Option, Percent, RealNumber, WholeNumber

NAMES = [each.name for each in registry.experiments()]


@pytest.fixture(scope="module")
def declared():
    return runs.declared()


def of_command(name):
    """The options of a command as Typer has them, by name."""
    return {each.opts[0]: each for each in COMMANDS[name].made().params}


def as_pytest_has_it(help_):
    """A command's help in pytest's words."""
    return f"{help_[0].lower()}{help_[1:]}".removesuffix(".")


@pytest.mark.parametrize("name", NAMES)
def test_pytest_and_commands_say_the_same_of_an_option(declared, name):
    experiment = registry.experiment(name)
    shown, own = of_command(registry.REGISTRY[name].command), {}
    for each in options.of_command(experiment):
        own[each.name] = each
        plain, _, default = declared.get(each.name, {"help": ""})["help"].replace("%%", "%").rpartition(" (default: ")
        plain, default = (plain, default.removesuffix(")")) if plain else (default, "")
        said = as_pytest_has_it(shown[each.name].help.partition(" Default: ")[0])
        assert said == options.words(each).replace("%%", "%")
        if each.name in experiment.options and each.name in declared:  # as it stands in the table
            assert said == plain
            assert default.partition("; where arms live ")[0] == (each.default or each.default_words or "")
            assert shown[each.name].default == each.default
    assert [*shown] == [*own]


def test_what_a_command_has_otherwise_is_said_in_one_place():
    def default(name, option):
        return of_command(name)[option].default

    assert [default(name, "--max-time") for name in ("ladder", "sweep")] == ["300", "600"]
    assert [default(name, "--preset") for name in ("survive", "converge", "ladder")] == ["tiny", "tiny", None]
    assert [default(name, "--time-limit") for name in ("survive", "converge", "sweep")] == ["300", "3600.0", "900.0"]


@pytest.mark.parametrize("option", ["--max-slowdown", "--max-syncs", "--min-speedup", "--reference"])
def test_the_gate_and_a_gated_run_say_the_same(declared, option):
    said = as_pytest_has_it(of_command("gate")[option].help.partition(" Default: ")[0])
    assert declared[option]["help"].startswith(said)


def test_a_share_is_no_format_of_argparse(declared):
    assert declared["--precision"]["help"].endswith("(default: 3%%)")


def test_the_options_of_a_run_have_values():
    found = options.asked(config())
    assert (found["batches"], found["rounds"], found["seed"], found["max_time"]) == (10, None, 0, None)
    assert (found["precision"], found["preset"], found["survival"]) == (0.03, None, "short")
    given = {"preset": "tiny", "batches": "3", "rounds": "7", "precision": "5%", "max_time": "60", "seed": "2"}
    settings = options.settings(config(**given))
    assert (settings.batches, settings.rounds, settings.precision) == (3, 7, 0.05)
    assert (settings.max_time, settings.seed, settings.options) == (60.0, 2, {})


@pytest.mark.parametrize("name", [name for name in NAMES if registry.experiment(name).switch])
def test_an_experiment_is_in_a_run_when_its_option_is_given(name):
    experiment = registry.experiment(name)
    switch = experiment.switch.option
    assert options.asked_of(config(), experiment) is None
    value = True if isinstance(switch.kind, Flag) else ["batch=8,16"] if switch.repeated else "3"
    asked = options.asked_of(config(**{switch.key: value}), experiment)
    assert {option.key for option in options.of_command(experiment)} <= {*asked}
    assert experiment.seconds(asked) > 0


def test_how_long_experiments_take():
    def seconds(name, **given):
        experiment = registry.experiment(name)
        return experiment.seconds(options.asked_of(config(**given), experiment))

    assert seconds("convergence", convergence="3") == 180.0
    assert seconds("sweep", sweep=["size=1,2", "width=3"], max_time="60") == 60 + 3 * STARTING
    assert seconds("ladder", ladder=True) == 920.0
    assert seconds("ladder", ladder=True, rounds="5", batches="4") == 820.0
    assert seconds("profile", profile=True) == 60.0


def test_a_profile_has_its_own_batches_and_the_ladder_those_of_the_run():
    profile, ladder = registry.experiment("profile"), registry.experiment("ladder")
    assert options.asked_of(config(profile=True, batches="3"), profile)["batches"] == 50
    assert options.asked_of(config(ladder=True, batches="3"), ladder)["batches"] == 3


def test_each_loop_is_watched_for_less_where_batches_are_short():
    assert options.utilisation(config(), "paper") == 3.0
    assert options.utilisation(config(), "tiny") == 1.0
    assert options.utilisation(config(utilisation="7.5"), "tiny") == 7.5


def test_what_is_not_watched_takes_no_time():
    assert options.utilisation(config(utilisation="0"), "paper") == 0.0


@pytest.mark.parametrize("text", ["-1", "long", "nan", "inf"])
def test_a_time_must_be_one(text):
    with pytest.raises(UsageError, match=f"--utilisation '{text}': must be a number of at least zero"):
        options.utilisation(config(utilisation=text), "tiny")


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (WholeNumber(1), "0", "must be a whole number of at least 1"),
        (WholeNumber(0), "-1", "must be a whole number of at least 0"),
        (WholeNumber(1), "many", "must be a whole number of at least 1"),
        (RealNumber(), "0", "must be a number above zero"),
        (RealNumber(zero=True), "few", "must be a number of at least zero"),
    ],
)
def test_a_wrong_text_is_refused_with_the_option_named(kind, text, says):
    with pytest.raises(UsageError, match=f"--x '{text}': {says}"):
        Option("--x", "of a test", kind).read(text)


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
        ({"numprocesses": 2}, "-n: measurements would disturb each other"),
        ({"convergence": "many"}, "--convergence 'many': must be a whole number of at least 1"),
        ({"preset": "tiny", "sweep": ["size=1,2"]}, "axis 'size' is unknown"),
        ({"preset": "tiny", "sweep": ["size"]}, "--sweep 'size': must be an axis and its values"),
        ({"preset": "tiny", "sweep": ["tokens=1"]}, "sequence_length=1 must be"),
    ],
)
def test_a_run_is_refused_in_one_line_before_anything_slow(given, says):
    with pytest.raises(UsageError) as refused:
        options.check(config(**given))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_as_it_is_by_default_is_not():
    options.check(config())


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("2.5%", 0.025), (" 150% ", 1.5), ("5 %", 0.05)])
def test_percentages(text, share):
    assert Percent().parse("--x", text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "0.05", "%", "", "five%", "0%", "-1%", "nan%", "inf%", "5%%", "5%x"])
def test_anything_else_is_refused_with_the_option_named(text):
    with pytest.raises(UsageError, match=r"--x '.*': must be a percentage"):
        Percent().parse("--x", text)


def test_of_a_repeated_option_all_texts_are_kept():
    option = Option("--fault", "of a test", repeated=True)
    assert option.read(["nan", "inf"]) == ("nan", "inf")
    assert option.read(None) is None
    assert options.signature([option]).parameters["fault"].default is None
    assert options.signature([option]).parameters["fault"].kind == inspect.Parameter.KEYWORD_ONLY


def test_a_loop_is_told_of_a_script_only_where_there_is_one():
    assert options.loop_options({"script": "a.csv"}) == {"script": "a.csv"}
    assert options.loop_options({"script": None}) == options.loop_options({}) == {}


def test_a_loop_is_told_how_its_script_is_written():
    written = {"script": "a.csv", "columns": "text=Line", "delimiter": ";", "encoding": "latin-1"}
    assert options.loop_options({**written, "seed": 3}) == written
    assert options.loop_options({**written, "columns": None, "encoding": None}) == {"script": "a.csv", "delimiter": ";"}
    with pytest.raises(UsageError, match=r"^--delimiter ';': says how a script is written; needs --script as well$"):
        options.loop_options({**written, "columns": None, "script": None})


@pytest.mark.parametrize("name", NAMES)
def test_a_command_with_a_script_has_how_it_is_written(name):
    shown = [*of_command(registry.REGISTRY[name].command)]
    assert shown[(place := shown.index("--script")) : place + 4] == [
        "--script",
        "--columns",
        "--delimiter",
        "--encoding",
    ]
