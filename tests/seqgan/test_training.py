import dataclasses

import numpy as np
import pandas as pd
import pytest

from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.injection import GradientInjection
from loop_bench.seqgan import dataset
from loop_bench.seqgan.checkpoint import Checkpoint
from loop_bench.seqgan.errors import NonFiniteUpdatesError
from loop_bench.seqgan.training import Training, window_times

EPOCH = 20  # batches, of `tiny`


class Silent:
    """An observer that records the progress, and may stop the run."""

    def __init__(self, stop_at=None):
        self.begun, self.ended, self.batches, self.stop_at = [], [], 0, stop_at

    def epoch_begins(self, phase, epoch, epochs, batches):
        self.begun.append((phase, epoch))

    def advance(self, batches, metrics):
        self.batches += batches
        if self.begun[-1] == self.stop_at:
            raise KeyboardInterrupt

    def epoch_ends(self, metrics):
        self.ended.append(metrics)


@pytest.fixture(scope="module")
def short(tiny):
    return dataclasses.replace(tiny, mle_epochs=1, d_epochs=1, epochs=2, filter_widths=(2,))


def train(config, lines, folder, loop="optimized", observer=None, resume=None):
    folder.mkdir(exist_ok=True)
    training = Training(config, lines, loop, None, folder, observer or Silent(), resume)
    training.run()
    return training


@pytest.mark.parametrize(
    ("loop", "pretraining"),
    [
        ("optimized", ["mle", "discriminator"]),
        pytest.param("baseline", ["mle", "discriminator"], marks=pytest.mark.slow),
        ("baseline", []),
    ],
)
def test_phases_history_and_checkpoint(short, lines, tmp_path, loop, pretraining):
    observer = Silent()
    if not pretraining:
        short = dataclasses.replace(short, mle_epochs=0, d_epochs=0)
    training = train(short, lines, tmp_path, loop, observer)
    assert observer.begun == [*((phase, 0) for phase in pretraining), ("adversarial", 0), ("adversarial", 1)]
    before = EPOCH * len(pretraining)
    assert observer.batches == before + 2 * EPOCH
    history = pd.read_csv(tmp_path / "history.csv")
    assert len(history) == before + 2 * EPOCH
    adversarial = history[history.phase == "adversarial"]
    assert adversarial[["g_loss", "d_loss", "d_accuracy", "g_reward", "ms_per_batch"]].notna().all(axis=None)
    assert adversarial.temperature.unique().tolist() == ([0.8] if loop == "baseline" else [2.0, 1.9])
    assert training.timing.first_batch > 0
    assert len(training.timing.windows) == 4
    mean = adversarial[adversarial.epoch == 1].ms_per_batch.iloc[0]
    assert sum(training.timing.windows[2:]) / 2 == pytest.approx(mean, rel=1e-6)
    found = Checkpoint.load(tmp_path)
    assert (found.loop, found.phase, found.epoch) == (loop, "adversarial", 1)
    batches = dict.fromkeys(["mle_adam", "discriminator_adam_pretraining"], EPOCH if pretraining else 0)
    batches |= dict.fromkeys(["generator_adam", "discriminator_adam"], 2 * EPOCH) if loop == "optimized" else {}
    means = {name: value for name, value in found.state.items() if "mean_norm" in name}
    assert means.keys() == {f"{name}_mean_norm:0" for name in batches}
    assert all((means[f"{name}_mean_norm:0"] > 0) == (count > 0) for name, count in batches.items())
    accepted = {name: int(value) for name, value in found.state.items() if "accepted_updates" in name}
    assert accepted == {f"{name}_accepted_updates:0": count for name, count in batches.items()}


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [("discriminator", 0), ("adversarial", 1)], ids=str)
def test_interrupted_and_resumed_is_bit_for_bit_the_uninterrupted_run(short, lines, tmp_path, stop_at):
    whole = tmp_path / "whole"
    train(short, lines, whole)
    with pytest.raises(KeyboardInterrupt):
        train(short, lines, tmp_path / "parts", observer=Silent(stop_at))
    observer = Silent()
    train(short, lines, tmp_path / "parts", observer=observer, resume=Checkpoint.load(tmp_path / "parts"))
    assert observer.begun[0] == stop_at
    assert_same_run(whole, tmp_path / "parts")


def assert_same_run(*folders):
    one, other = map(Checkpoint.load, folders)
    assert one.state.keys() == other.state.keys()
    for name, value in one.state.items():
        np.testing.assert_array_equal(value, other.state[name], err_msg=name)
    pd.testing.assert_frame_equal(
        one.history.drop(columns="ms_per_batch"), other.history.drop(columns="ms_per_batch"), check_like=True
    )


@pytest.mark.slow
def test_stops_at_weights_that_are_not_finite_and_names_the_last_good_checkpoint(short, lines, tmp_path):
    class Poison(Silent):
        def advance(self, batches, metrics):
            if self.begun[-1][0] == "adversarial":
                weight = training._loop.networks.generator.trainable_variables[0]
                weight.assign(np.full(weight.shape, np.nan, np.float32))

    training = Training(short, lines, "optimized", None, tmp_path, Poison())
    with pytest.raises(
        FloatingPointError, match=r"^epoch 1 of adversarial: generator/.*last good checkpoint"
    ) as caught:
        training.run()
    assert f"after epoch 1 of discriminator, is in {tmp_path}; resume from it with: python -m" in str(caught.value)
    assert Checkpoint.load(tmp_path).phase == "discriminator"


def test_window_times_are_the_same_on_an_asynchronous_device():
    """Three windows of 1, 2 and 1 seconds, on a synchronous and on an asynchronous device."""
    assert sorted(window_times([1.0, 2.0, 1.0], 0.0)) == [1.0, 1.0, 2.0]
    assert sorted(window_times([0.0, 1.0, 2.0], 1.0)) == [1.0, 1.0, 2.0]
    assert window_times([0.0], 3.0) == window_times([3.0], 0.0) == [3.0]


@pytest.mark.slow
def test_an_epoch_of_one_window_is_timed_whole(short, lines, tmp_path):
    training = train(dataclasses.replace(short, window=100), lines, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    last = history[(history.phase == "adversarial") & (history.epoch == 1)].ms_per_batch.iloc[0]
    assert len(training.timing.windows) == 2
    assert training.timing.windows[1] == pytest.approx(last, rel=0.5)


@pytest.mark.slow
def test_an_epoch_may_be_a_single_batch(short, tmp_path):
    config = dataclasses.replace(short, lines=16)
    training = train(config, dataset.load(config), tmp_path)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 4
    assert len(training.timing.windows) == 1


@pytest.mark.slow
def test_skipped_updates_stop_a_run_whose_epochs_are_single_windows(short, lines, tmp_path):
    config = dataclasses.replace(short, window=100, max_consecutive_skips=5, mle_epochs=0, d_epochs=0)
    with GradientInjection(Fault("nan", target="generator")) as injection:
        injection.set(1.0)
        with pytest.raises(NonFiniteUpdatesError, match=r"generator: 5 updates.*batches 0 to 4, .*no checkpoint had"):
            train(config, lines, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_stopped_in_the_middle_of_an_epoch_and_resumed_is_the_run_that_never_stopped(short, lines, tmp_path):
    class Poison(Silent):
        def advance(self, batches, metrics):
            super().advance(batches, metrics)
            if self.begun[-1] == ("adversarial", 1) and self.batches > 60:
                training._loop.networks.generator.trainable_variables[-1].assign(np.full(200, np.inf, np.float32))

    config = dataclasses.replace(short, max_consecutive_skips=3, window=5)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config, lines, whole)
    parts.mkdir()
    training = Training(config, lines, "optimized", None, parts, Poison())
    with pytest.raises(
        NonFiniteUpdatesError, match=r"^epoch 2 of adversarial: generator: 3 updates.*25 to 27"
    ) as caught:
        training.run()
    assert "weights are not finite (generator/output/bias and 0 more)" in str(caught.value)
    assert f"after epoch 1 of adversarial, is in {parts}; resume from it with:" in str(caught.value)
    assert str(caught.value).endswith(f"python -m loop_bench.seqgan train --resume --out {parts}")
    train(config, lines, parts, resume=Checkpoint.load(parts))
    assert_same_run(whole, parts)


@pytest.mark.slow
def test_batches_that_were_skipped_are_known(short, lines, tmp_path):
    class Faulty(Silent):
        def advance(self, batches, metrics):
            super().advance(batches, metrics)
            injection.set(1.0 if self.batches < 10 else None)

    config = dataclasses.replace(short, window=5, mle_epochs=0, d_epochs=0)
    with GradientInjection(Fault("nan", target="discriminator")) as injection:
        training = train(config, lines, tmp_path, observer=Faulty())
    assert training.skipped_batches["generator"] == []
    assert training.skipped_batches["discriminator"] == list(range(1, 11))
    resumed = Training(
        dataclasses.replace(config, epochs=3), lines, "optimized", None, tmp_path, Silent(), Checkpoint.load(tmp_path)
    )
    resumed.run()
    assert resumed.skipped_updates == {"generator": 0, "discriminator": 10}
    assert resumed.skipped_batches == {"generator": [], "discriminator": []}  # by this object
