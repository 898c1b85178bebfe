import pytest
import runs

from loop_bench.cli import options
from loop_bench.cli.commands import COMMANDS
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import Option, Percent, RealNumber, WholeNumber

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
            assert default.partition("; if the arms' ")[0] == (each.default or each.default_words or "")
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


def test_a_loop_is_told_of_a_script_only_where_there_is_one():
    assert options.loop_options({"script": "a.csv"}) == {"script": "a.csv"}
    assert options.loop_options({"script": None}) == options.loop_options({}) == {}


def test_a_loop_is_told_of_replicas_only_where_there_are_some():
    assert options.loop_options({"script": "a.csv", "replicas": 2}) == {"script": "a.csv", "replicas": 2}
    assert options.loop_options({"replicas": None}) == {}


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
