import pytest

from bench import builtin
from bench.errors import InvalidRecordError, UsageError
from bench.experiments import registry
from bench.experiments.equivalence import trial
from bench.experiments.equivalence.plan import Candidate
from bench.experiments.equivalence.record import AgreementRecord, Equivalence
from bench.report import files
from bench.settings import Settings


def settings(before="toys:plain", after="toys:plain", **options):
    return Settings(before=before, after=after, preset="tiny", seed=0, batches=1, options=options)


def candidates(asked, every_rung=False):
    return builtin.find(asked.before, asked.after).candidates(asked, every_rung)


def test_loops_that_are_the_same():
    told = []
    found = trial.agreement(settings(), candidates(settings()), batches=10, tell=told.append)
    assert told == list(found.found) == ["after"]
    assert found.found["after"].bit_for_bit
    assert found.found["after"].batches == 10


def test_loops_that_are_not():
    found = trial.agreement(settings(), candidates(settings(after="toys:guarded")), batches=10)
    assert not found.found["after"].equal


def test_every_rung_between_the_built_in_loops_is_compared_with_the_one_before():
    names = [rung.name for rung in candidates(settings(builtin.BEFORE, builtin.AFTER), every_rung=True)]
    assert names[0] == builtin.UNCHANGED
    assert names[1 : len(builtin.CHANGES) + 1] == list(builtin.CHANGES)
    assert names[len(builtin.CHANGES) + 1] == "without deferred metrics"
    assert "baseline" not in names


def test_the_loop_after_is_as_it_is_timed():
    (only,) = candidates(settings(builtin.BEFORE, builtin.AFTER, clip_norm=3.0))
    assert (only.name, only.factory, only.options) == ("after", builtin.AFTER, {"clip_norm": 3.0})


def test_between_other_loops_there_are_no_rungs():
    with pytest.raises(UsageError, match="--every-rung"):
        candidates(settings(), every_rung=True)


@pytest.mark.parametrize(
    ("exact", "gpus", "equal"), [(False, [], True), (True, [], False), (True, ["H100"], True)], ids=str
)
def test_what_only_moves_reads_must_be_the_same_bit_for_bit_on_a_cpu(monkeypatch, exact, gpus, equal):
    rounded = Equivalence(batches=10, options={}, equal=True, reason="up to rounding")
    only = Candidate("after", "toys:plain", {}, None, exact)
    monkeypatch.setattr(trial, "equivalence", lambda *_: rounded)
    monkeypatch.setattr(trial, "environment", lambda: {"gpus": gpus})
    found = trial.agreement(settings(), [only]).found["after"]
    assert found.equal == equal
    assert ("not bit for bit" in found.reason) != equal


def test_leaves_a_record_and_a_table(tmp_path):
    found = trial.agreement(settings(), candidates(settings()), batches=10)
    files.leave(found, registry.report, tmp_path)
    names = ["equivalence.html", "equivalence.json", "equivalence.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    path = tmp_path / "equivalence.json"
    assert AgreementRecord.read(path) == found
    assert "| after" in path.with_suffix(".md").read_text()
    path.write_text("{}")
    with pytest.raises(InvalidRecordError, match="no whole record of equivalence"):
        AgreementRecord.read(path)
