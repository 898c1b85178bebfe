from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "results" / "hostsync"


@pytest.fixture(scope="module")
def examples(load_script):
    return load_script("hostsync/examples.py")


def total(text):
    return next(line.split(" host syncs in ")[0] for line in text.splitlines() if " host syncs in " in line)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["keras_fit.py 10", "data_to_numpy.py"])
def test_finds_what_the_docs_say(examples, command):
    found = examples.found_in(command)
    written = (HERE / "epyc-9004-2-cores" / "examples.md").read_text(encoding="utf-8")
    section = written.split(f"syncs --stack {command}`\n")[1].split("\n## ")[0]
    assert total(found) == total(section)


def test_every_program_is_in_the_docs(examples):
    written = (HERE / "epyc-9004-2-cores" / "examples.md").read_text(encoding="utf-8")
    assert [command for command in examples.COMMANDS if f"syncs --stack {command}`\n" not in written] == []
    assert {command.split()[0] for command in examples.COMMANDS} == {p.name for p in HERE.glob("programs/*.py")}


@pytest.mark.slow
def test_a_program_that_fails_is_no_example(examples):
    with pytest.raises(RuntimeError, match=r"no_such.py failed:\n(.|\n)*there is no such script"):
        examples.found_in("no_such.py")
