"""What the reference pages are made of; that they are fresh is what CI has the script check."""

import dataclasses
import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import typer

from loop_bench.cli import options
from loop_bench.cli import run as cli_run
from loop_bench.cli.commands import COMMANDS
from loop_bench.experiments.run import verdict
from loop_bench.experiments.survival.record import Outcome
from loop_bench.records import gate

pytest.importorskip("griffe", reason="griffelib is not installed: it comes with the extra dev")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "docs"))  # as Python does for a script
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "docs"))


@pytest.fixture
def docs(script, tmp_path, monkeypatch):
    """The script, with fresh pages of its own."""
    pages = tmp_path / "docs"
    for name in script.MADE:
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(script.PAGES / name, pages / name)
    monkeypatch.setattr(script, "PAGES", pages)
    run(script)
    return script


def run(script, check=False):
    """The exit code."""
    with pytest.raises(typer.Exit) as left:
        script.main(check=check)
    return left.value.exit_code


@pytest.fixture
def page(docs):
    return lambda name: (docs.PAGES / name).read_text(encoding="utf-8")


def sections(text, level="## "):
    """What stands under each heading."""
    return {each.partition("\n")[0]: each for each in f"\n{text}".split(f"\n{level}")[1:]}


def test_made_once_they_are_fresh(docs, capsys):
    capsys.readouterr()
    assert run(docs, check=True) == 0
    assert run(docs) == 0
    assert capsys.readouterr().out == ""


def test_every_command_has_its_options(page):
    found, of_run = sections(page("reference/commands.md")), page("reference/options.md")
    for name, command in COMMANDS.items():
        section = found[f"`{name}`"]
        assert f"[`{name}`](#{name})" in page("reference/commands.md")
        for parameter in command.made().params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if parameter.param_type_name == "option" and option != "--help":
                    known = section if "options of a run" not in section else section + of_run
                    assert re.search(rf"`{re.escape(option)}[` ]", known)


def test_every_example_is_a_command_line(page):
    examples = re.findall(r"^loop-bench (\S+) ?(.*)$", "".join(_shell(page("reference/commands.md"))), re.MULTILINE)
    assert len({name for name, _ in examples}) > len(COMMANDS) - 2
    for name, rest in examples:
        COMMANDS[name].made().make_context(name, shlex.split(rest))  # parses, and does not run


def _shell(text):
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def test_the_pair_s_own_commands_are_there(page):
    found = sections(page("reference/commands.md"))
    assert "`--compile-cache DIR`" in found["`python -m loop_bench.seqgan train`"]
    assert "| `-n`, `--count N` |" in found["`python -m loop_bench.seqgan sample`"]


def test_every_option_of_a_run_has_one_row(page):
    rows = re.findall(r"^\| `(--[\w-]+)[^|]*` \|", page("reference/options.md"), re.MULTILINE)
    assert sorted(rows) == sorted(option.name for option in (*options.of_run(), *options.GATE))


def test_an_option_in_no_group_is_an_error(docs, monkeypatch):
    monkeypatch.setitem(docs.interface.GROUPS, "length", lambda: ("--batches", "--precision", "--max-time"))
    with pytest.raises(SystemExit, match="--rounds"):
        docs.main(check=True)


def test_another_help_makes_pages_stale_and_they_are_named(docs, page, monkeypatch, capsys):
    changed = tuple(
        dataclasses.replace(each, help="other words") if each is options.MAX_SYNCS else each for each in options.GATE
    )
    monkeypatch.setattr(options, "GATE", changed)
    monkeypatch.setattr(cli_run, "COMMAND", cli_run._command())
    capsys.readouterr()
    assert run(docs, check=True) == 1
    assert capsys.readouterr().out == "docs/reference/options.md: stale: run python docs/generate.py\n"
    run(docs)
    assert "| `--max-syncs NUMBER` | Other words. |" in page("reference/options.md")


@pytest.mark.parametrize(
    ("file", "after", "new", "stale"),
    [
        ("loop.py", r"seed: int = ", "1", "contract.md"),  # a default
        ("loop.py", r"def history\(self\)[^\n]+\n +\"\"\"", "Changed. ", "contract.md"),  # a docstring
        ("loop.py", r"preset: str  # ", "changed ", "contract.md"),  # a comment
        ("loops/fit.py", r"steps_per_execution: ", "str | ", "contract.md"),
        ("loops/step.py", r"\n        evaluate: ", "changed ", "contract.md"),
        ("records/gate.py", r"PASSED = 0\n    \"\"\"", "Changed. ", "exit-codes.md"),
        ("experiments/survival/fault.py", r"\n        growth: ", "changed ", "faults.md"),
    ],
    ids=lambda each: each.split("/")[-1] if each.endswith((".py", ".md")) else "",
)
def test_another_source_makes_its_page_stale(docs, monkeypatch, capsys, file, after, new, stale):
    read = docs.contract.text

    def changed(path):
        if not path.as_posix().endswith(f"loop_bench/{file}"):
            return read(path)
        text, count = re.subn(after, lambda found: f"{found[0]}{new}", read(path), count=1)
        assert count == 1
        return text

    monkeypatch.setattr(docs.contract, "text", changed)
    capsys.readouterr()
    assert run(docs, check=True) == 1
    assert capsys.readouterr().out.splitlines() == [f"docs/reference/{stale}: stale: run python docs/generate.py"]


def test_a_lost_marker_is_an_error(docs):
    path = docs.PAGES / "reference" / "faults.md"
    path.write_text(path.read_text(encoding="utf-8").replace("<!-- loop-bench: end keys -->\n", ""), encoding="utf-8")
    with pytest.raises(ValueError, match="end keys --> is missing"):
        docs.main(check=True)


def test_outcomes_and_codes_are_all_there(docs, page):
    assert [*docs.outcomes.outcome.MEANINGS] == [*Outcome.__args__]
    for outcome in gate.Outcome:
        assert f"| `{int(outcome)}` | {outcome.name.lower()} |" in page("reference/exit-codes.md")
    assert all(f"| `{key}` |" in page("reference/faults.md") for key in ("in", "target", "batches", "replica"))


def test_a_verdict_that_is_judged_first_comes_first(page):
    rows = re.findall(r"^\| \*\*(\w+)\*\* \| [A-Z]", page("explanation/verdicts.md"), re.MULTILINE)
    assert rows == ["invalid", "faster", "slower", "same", "inconclusive"]
    assert {*rows} == {*verdict.Kind}


def test_each_page_begins_with_a_title_and_no_table_has_a_ragged_row(page, docs):
    for name in docs.MADE:
        text = page(name)
        assert re.match(r"# \S.*\n\n(This page|The)\b", text)
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({line.count("|") for line in block.splitlines()}) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--link PATH puts it there", "`--link PATH` puts it there"),
        ("as `--max-slowdown 5%` says", "as `--max-slowdown 5%` says"),
        ("what --into's file says", "what `--into`'s file says"),
        ("of: in=gradients, batch=10, seed=0.", "of: `in=gradients`, `batch=10`, `seed=0`."),
        ("tcp://10.0.0.1:8786, or local:N for", "`tcp://10.0.0.1:8786`, or `local:N` for"),
        ("under tf.distribute. TF_CONFIG says", "under `tf.distribute`. `TF_CONFIG` says"),
        ("evaluate() of a loop, e.g. this", "`evaluate()` of a loop, e.g. this"),
        ("a 99.9% interval in Keras 3.12", "a 99.9% interval in Keras 3.12"),
        ("module:function(argument)", "`module:function(argument)`"),
        ("less < more", "less &lt; more"),
    ],
)
def test_what_is_code_is_in_code_font(script, text, shown):
    assert script.interface.prose(text) == shown
