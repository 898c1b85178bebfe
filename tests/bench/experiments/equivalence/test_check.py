import numpy as np
import pytest
import tensorflow as tf

from loop_bench import builtin
from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.equivalence import check
from loop_bench.experiments.equivalence.figures import METRIC_TOLERANCE, UPDATE_TOLERANCE
from loop_bench.experiments.equivalence.record import BATCHES, AgreementRecord, Candidate, Equivalence
from loop_bench.experiments.equivalence.side import Side
from loop_bench.experiments.run.measurement import Measurement
from loop_bench.report import files
from loop_bench.settings import Settings


class Descent:
    """Descends towards 9, computed in NumPy: two traced loops would be most of the time of each comparison."""

    def __init__(self, seed=0):
        self.weight = tf.Variable(np.full(4, 1.0 + 0.01 * seed), name="generator/weight")
        self.rate = tf.Variable(0.01, trainable=False, name="learning_rate")
        self.variables = [self.weight, self.rate]
        self.losses = []

    def run(self, batches):
        for _ in range(batches):
            self.losses.append(np.mean((self.weight.numpy() - 9.0) ** 2))
            self.weight.assign_add(self.update())

    def update(self):
        return self.rate.numpy() * (9.0 - self.weight.numpy())

    def history(self):
        return {"loss": np.array(self.losses)}


class Rounding(Descent):
    """The same algorithm in another arithmetic: updates and losses are off by these shares of themselves."""

    def __init__(self, update=0.0, loss=0.0, every=1):
        super().__init__()
        self._update, self._loss, self._every = update, loss, every

    def update(self):
        off = self._update if len(self.losses) % self._every == 0 else 0.0
        return (1 + off) * super().update()

    def history(self):
        losses = super().history()["loss"].astype(float)
        losses[:: self._every] *= 1 + self._loss
        return {"loss": losses}


class Drawing(Rounding):
    """Keeps lines [batches, 2, 3]; other ones in these batches."""

    def __init__(self, odd=(), **changes):
        super().__init__(**changes)
        self._odd = list(odd)

    def lines(self):
        drawn = np.arange(len(self.losses) * 6).reshape(-1, 2, 3)
        drawn[[batch for batch in self._odd if batch < len(drawn)], 1, 2] += 1000
        return drawn


def forgetful(kind, share):
    """A loop that goes only a share of the way in a call of several batches."""

    class Forgetful(kind):
        def run(self, batches):
            before = self.weight.numpy()
            super().run(batches)
            if batches > 1:
                self.weight.assign(before + share * (self.weight.numpy() - before))

    return Forgetful(update=1e-6)


def judge(after, before=None):
    return check.equivalence(Side(before or Descent()), Side(after), {"a": 1})


def test_the_same_algorithm_is_the_same_to_the_bit():
    found = judge(Descent())
    assert (found.equal, found.bit_for_bit, found.batches, found.options) == (True, True, BATCHES, {"a": 1})
    assert found.reason == f"bit for bit the same over {BATCHES} batches, metrics and weights"
    assert BATCHES >= 50


def test_to_the_bit_the_draws_are_the_same_too():
    assert judge(Drawing(), Drawing()).reason.endswith("metrics, weights and drawn tokens")
    assert not judge(Drawing(odd=[3]), Drawing()).bit_for_bit


def test_another_algorithm_is_not():
    found = judge(Rounding(update=9.0))
    assert not found.equal
    assert found.reason.startswith("from the same state, updates differ by 9 of their size in stretch 0")


def test_another_start_is_another_algorithm():
    assert judge(Descent(seed=1)).reason == "they do not start from the same state: generator/weight:0"
    faster = Descent()
    faster.rate.assign(0.1)
    assert "learning_rate" in judge(faster).reason


@pytest.mark.parametrize(
    ("changes", "equal", "says"),
    [
        ({"update": UPDATE_TOLERANCE / 3}, True, "updates by at most 0.0003 of their size"),
        ({"update": UPDATE_TOLERANCE * 3}, False, "updates differ by 0.003 of their size in stretch 0"),
        ({"loss": METRIC_TOLERANCE / 3}, True, "metrics differ by at most 3e-06"),
        ({"loss": METRIC_TOLERANCE * 3}, False, "metrics differ in 50 of 50 stretches, by up to 3e-05"),
        ({"loss": 0.01, "every": 30}, True, "metrics differ by at most 0.01 "),  # a count that has jumped now and then
        ({"loss": 0.1, "every": 30}, False, "metrics differ in 2 of 50 stretches, by up to 0.1"),
        ({"loss": np.nan}, False, "metrics differ in 50 of 50 stretches"),
    ],
)
def test_what_passes_for_rounding(changes, equal, says):
    found = judge(Rounding(**changes))
    assert (found.equal, found.bit_for_bit) == (equal, False)
    assert says in found.reason


def test_without_flips_not_one_update_may_be_another():
    now_and_then = {"update": 0.5, "every": 30}
    assert judge(Rounding(**now_and_then)).equal  # it may have been a draw, for all that is known
    found = judge(Drawing(**now_and_then), Drawing())
    assert not found.equal
    assert "updates differ by 0.43 of their size in stretch 29" in found.reason  # half, of one larger than a late one


@pytest.mark.parametrize(("every", "off", "equal"), [(10, 0.02, True), (10, 0.08, False), (3, 0.02, False)])
def test_an_update_may_jump_a_little_now_and_then(every, off, equal):
    found = judge(Drawing(update=off, every=every), Drawing())
    assert found.equal is equal


def test_a_small_error_between_the_batches_of_a_call_is_no_jump():
    assert not judge(forgetful(Drawing, 0.98), Drawing()).equal


def test_the_first_flipped_draw_is_named():
    one, other = Drawing(odd=[7, 40], update=1e-6), Drawing()
    found = judge(one, other)
    assert found.equal
    assert len(one.losses) == len(other.losses) == 8 + BATCHES  # no further by themselves than they have in common
    assert (found.flip.batch, found.flip.line, found.flip.place) == (7, 1, 2)
    assert (found.flip.before, found.flip.after) == (47, 1047)
    assert sum(found.lockstep.other_lines) == 1
    assert "in 59 of 60 batches" in found.reason
    assert "in the other 1, rounding has flipped a draw in 1 lines" in found.reason
    assert "they drew the same tokens until batch 7 (line 1, token 2: 47 and 1047)" in found.reason


def test_another_sampler_is_no_rounding():
    found = judge(Drawing(odd=range(200), update=1e-6), Drawing())
    assert not found.equal
    assert found.reason == "from the same state, 50.00% of the drawn lines differ"


def test_with_flips_in_nearly_every_batch_the_result_is_undetermined():
    class Wide(Drawing):
        def lines(self):
            drawn = np.zeros((len(self.losses), 100, 2), int)
            drawn[self._odd[0] :, 7, 0] = 1
            return drawn

    found = judge(Wide(odd=[63], update=1e-4), Wide(odd=[1000]))
    assert not found.equal
    assert found.reason.startswith("undetermined: rounding flips a draw in 47 of 50 stretches")
    assert judge(Wide(odd=[110], update=1e-4), Wide(odd=[1000])).equal


def test_an_error_between_the_batches_of_a_call_is_detected():
    found = judge(forgetful(Rounding, 0.5))
    assert not found.equal
    assert "updates differ by 0.5 of their size in stretch 40" in found.reason


def test_weights_must_agree_too():
    class Elsewhere(Descent):
        def run(self, batches):
            super().run(batches)
            self.weight.assign_add([1.0] * 4)

    assert not judge(Elsewhere()).equal


def test_an_arm_with_fewer_weights_is_not_the_same():
    fewer = Descent()
    fewer.variables = [fewer.rate]
    assert judge(fewer).reason.endswith("the variables differ, so that no batch can be compared")


def test_loops_without_a_common_metric():
    class Other(Descent):
        def history(self):
            return {"error": super().history()["loss"]}

    assert judge(Other()).reason == "no metric is common to both: loss; error"


def test_histories_of_different_lengths():
    class Short(Descent):
        def history(self):
            return {"loss": super().history()["loss"][1:]}

    assert judge(Short()).reason == "the histories have different lengths"


def measurement(before, after):
    return Measurement(Settings(before=before, after=after, preset="tiny", seed=0, batches=3, rounds=1))


@pytest.mark.slow
def test_the_built_in_pair_is_the_same_as_it_is_timed():
    found = measurement(builtin.BEFORE, builtin.AFTER)
    same = builtin.find(builtin.BEFORE, builtin.AFTER).equivalent
    assert found.check_equivalence(same).equal
    assert found.record().equivalence.lockstep.batches == BATCHES
    assert "jit_compile" not in found.record().equivalence.options


def settings(before="toys:plain", after="toys:plain", **options):
    return Settings(before=before, after=after, preset="tiny", seed=0, batches=1, options=options)


def candidates(asked, every_rung=False):
    return builtin.find(asked.before, asked.after).candidates(asked, every_rung)


def test_loops_that_are_the_same():
    told = []
    found = check.agreement(settings(), candidates(settings()), batches=10, tell=told.append)
    assert told == list(found.found) == ["after"]
    assert found.found["after"].bit_for_bit
    assert found.found["after"].batches == 10


def test_loops_that_are_not():
    found = check.agreement(settings(), candidates(settings(after="toys:guarded")), batches=10)
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
    monkeypatch.setattr(check, "equivalence", lambda *_: rounded)
    monkeypatch.setattr(check, "environment", lambda: {"gpus": gpus})
    found = check.agreement(settings(), [only]).found["after"]
    assert found.equal == equal
    assert ("not bit for bit" in found.reason) != equal


def test_leaves_a_record_and_a_table(tmp_path):
    found = check.agreement(settings(), candidates(settings()), batches=10)
    files.leave(found, registry.report, tmp_path)
    names = ["equivalence.html", "equivalence.json", "equivalence.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    path = tmp_path / "equivalence.json"
    assert AgreementRecord.read(path) == found
    assert "| after" in path.with_suffix(".md").read_text()
    path.write_text("{}")
    with pytest.raises(InvalidRecordError, match="no whole record of equivalence"):
        AgreementRecord.read(path)
