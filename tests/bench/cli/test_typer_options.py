import inspect

from loop_bench.cli import typer_options
from loop_bench.experiments.experiment import Option


def test_a_repeated_option_is_a_list_or_nothing():
    parameter = typer_options.signature([Option("--fault", "of a test", repeated=True)]).parameters["fault"]
    assert parameter.default is None
    assert parameter.kind == inspect.Parameter.KEYWORD_ONLY
