"""Config of a training run: every constant with its reason, and the presets.

Shape letters used in this package:
    B batch, T tokens a line, V vocabulary, E embedding, H hidden, C characters, S scenes, N lines.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from typing_extensions import Self

from loop_bench.seqgan.errors import InputError

SAMPLERS = ("categorical", "inverse_cdf")
PROTECTIONS = ("none", "clip", "clip+zero", "clip+skip", "guard")
METRICS = ("each_call", "deferred")
FEEDS = ("pipeline", "resident")
CALLS = ("three", "one", "window")
POLICY_GRADIENTS = ("second_pass", "sampled_pass")
CONVOLUTIONS = ("separate", "one_product")


@dataclasses.dataclass(frozen=True)
class Config:
    """One training run of the conditional SeqGAN, on either loop."""

    # Sizes.
    batch_size: int = 64  # as in the SeqGAN paper
    sequence_length: int = 20  # as in the SeqGAN paper; longer lines are cut
    vocabulary_size: int = 5000  # as in the SeqGAN paper; of a script, the most frequent words
    embedding_size: int = 32  # as in the SeqGAN paper
    hidden_size: int = 32  # as in the SeqGAN paper
    filters: int = 32  # convolution filters of each width in the discriminator
    filter_widths: tuple[int, ...] = (2, 3, 4, 5)  # n-grams that the discriminator looks for

    # Synthetic data.
    lines: int = 6400  # 100 batches of 64 an epoch
    characters: int = 8  # speakers that the oracle knows
    scenes: int = 12  # scenes that the oracle knows

    # Length of training.
    mle_epochs: int = 20  # maximum-likelihood pre-training of the generator
    d_epochs: int = 2  # pre-training of the discriminator; it saturates fast
    epochs: int = 20  # adversarial training
    d_steps: int = 1  # discriminator updates a batch
    g_steps: int = 1  # generator updates a batch
    rollouts: int = 0  # completions of each prefix whose rewards are averaged; 0: only the reward of the whole line
    d_train_interval: int = 1  # optimised loop: train the discriminator every n-th batch

    # Optimisers (Adam).
    mle_learning_rate: float = 1e-2  # as in the SeqGAN paper
    g_learning_rate: float = 1e-3  # a policy gradient is noisier than a likelihood
    d_learning_rate: float = 1e-3
    clip_norm: float = 5.0  # optimised loop: largest global norm of a gradient
    clip_ratio: float = 10.0  # optimised loop: largest norm as a multiple of the running mean of the norms
    protection: str = "guard"  # optimised loop: one of PROTECTIONS, against gradients that explode
    max_consecutive_skips: int = 20  # optimised loop: skipped updates in a row before it gives up

    # Temperature of the policy, while sampling and in its log-probabilities alike.
    temperature_start: float = 2.0  # optimised loop: explore first ...
    temperature_end: float = 0.5  # ... and exploit later, but never below this
    temperature_decay: float = 0.95  # factor per epoch; the floor is reached in epoch 28
    temperature_fixed: float = 0.8  # baseline

    # Execution, which does not change the results. All fields but the sampler are for the optimised loop.
    sampler: str | None = None  # one of SAMPLERS; None lets each loop use its own
    metrics: str = "deferred"  # one of METRICS: read after each graph call, or late and in bulk
    feed: str = "resident"  # one of FEEDS: lines from an input pipeline, or all of them on the device
    calls: str = "window"  # one of CALLS: three graph calls a batch, one a batch, or one for `window` batches
    window: int = 25  # most batches in one graph call
    policy_gradient: str | None = None  # one of POLICY_GRADIENTS; None: the sampled pass wherever it is possible
    convolutions: str = "one_product"  # one of CONVOLUTIONS; separate ones are slow in a window that XLA compiles
    jit_compile: bool = True  # compile with XLA: the whole window on a CPU, else each batch, or each of its parts

    # Devices, for both loops.
    replicas: int = 1  # replicas share each batch and sum their gradients; categorical draws differ then

    # Evaluation of a generator, and the start of adversarial training; the same for both loops.
    evaluation_temperature: float = 1.0  # of the lines that are rated; 1 is the generator's own distribution
    held_out: float = 0.0  # share of a script's lines never trained on; for the oracle, lines drawn in addition
    pretrained: bool = False  # start from networks trained for `mle_epochs` and `d_epochs`, not from random ones

    keep_lines: bool = False  # both loops: keep the first lines that each batch draws, to compare the loops
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name))
        if self.policy_gradient == "sampled_pass" and not self._can_keep_the_sampled_pass:
            raise InputError(
                f"config: policy_gradient='sampled_pass' needs a batch that is one graph call: not calls='three' "
                f"(here {self.calls!r}), and rollouts=0 (here {self.rollouts})"
            )
        if self.batch_size % self.replicas:
            raise InputError(
                f"config: replicas={self.replicas} must divide batch_size={self.batch_size}, to have equal shares"
            )
        if self.temperature_end > self.temperature_start:
            raise InputError(
                f"config: temperature_end={self.temperature_end} must not be above "
                f"temperature_start={self.temperature_start}"
            )
        if max(self.filter_widths) > self.sequence_length:
            raise InputError(
                f"config: filter_widths={self.filter_widths} must not exceed sequence_length={self.sequence_length}"
            )

    @property
    def keeps_sampled_pass(self) -> bool:
        """Whether the policy gradient is computed from the pass that draws the lines."""
        return self.policy_gradient != "second_pass" and self._can_keep_the_sampled_pass

    @property
    def _can_keep_the_sampled_pass(self) -> bool:
        return self.calls != "three" and not self.rollouts

    def annealed_temperature(self, epoch: int) -> float:
        """Temperature of the policy in `epoch` (from 0): geometric decay down to a floor.

        With the default constants, 2.0 x 0.95**n, it is at the floor of 0.5 from epoch 28 on (n = 27.03).
        """
        return max(self.temperature_end, self.temperature_start * self.temperature_decay**epoch)

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> Self:
        """Config of the preset `name`, with some fields replaced.

        Raises:
            InputError: an unknown preset or field (with the valid ones named), or a value out of range.
        """
        if name not in PRESETS:
            raise InputError(f"preset {name!r} is unknown; the presets are {', '.join(PRESETS)}")
        return cls.from_dict({**PRESETS[name], **overrides})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Config from plain values, as `to_dict` writes them.

        Raises:
            InputError: an unknown field (with the valid ones named) or a value out of range.
        """
        valid = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in valid:
                close = difflib.get_close_matches(name, valid, n=1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise InputError(f"config field {name!r} is unknown{hint}; the fields are {', '.join(valid)}")
        plain = dict(values)
        if isinstance(plain.get("filter_widths"), list):  # JSON has no tuples
            plain["filter_widths"] = tuple(plain["filter_widths"])
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a record or a checkpoint."""
        return dataclasses.asdict(self)


_FRACTIONS = ("temperature_decay",)
_MAY_BE_ZERO = ("mle_epochs", "d_epochs", "epochs", "rollouts", "seed")
_CHOICES = {
    "sampler": SAMPLERS,
    "protection": PROTECTIONS,
    "metrics": METRICS,
    "feed": FEEDS,
    "calls": CALLS,
    "policy_gradient": POLICY_GRADIENTS,
    "convolutions": CONVOLUTIONS,
}
_BY_DEFAULT_NONE = ("sampler", "policy_gradient")
# The text CNN cannot convolve over shorter lines than this.
_LEAST = {"sequence_length": 2, "vocabulary_size": 4, "d_steps": 1, "g_steps": 1}


def _check(name: str, value: Any) -> None:
    """Raises InputError unless `value` has the type and is in the range of the field `name`."""
    if name in _CHOICES:
        unset = value is None and name in _BY_DEFAULT_NONE
        _require(unset or value in _CHOICES[name], name, value, f"one of {', '.join(_CHOICES[name])}")
    elif name in ("jit_compile", "keep_lines", "pretrained"):
        _require(isinstance(value, bool), name, value, "true or false")
    elif name == "filter_widths":
        whole = isinstance(value, tuple) and bool(value) and all(_is_int(width) and width > 0 for width in value)
        _require(whole, name, value, "a list of positive whole numbers")
    elif isinstance(getattr(Config, name), int):
        least = 0 if name in _MAY_BE_ZERO else _LEAST.get(name, 1)
        _require(_is_int(value) and value >= least, name, value, f"a whole number of at least {least}")
    elif name == "held_out":
        _require(_is_number(value) and 0 <= value < 1, name, value, "a number of at least 0 and below 1")
    else:
        _require(_is_number(value) and 0 < value < float("inf"), name, value, "a positive finite number")
        if name in _FRACTIONS:
            _require(value <= 1, name, value, "a number above 0 and at most 1")
        if name == "clip_ratio":  # at 1, the mean of the clipped norms falls with each update, and training stops
            _require(value > 1, name, value, "a number above 1")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _require(holds: bool, name: str, value: Any, right: str) -> None:
    if not holds:
        raise InputError(f"config: {name}={value!r} must be {right}")


PRESETS: dict[str, dict[str, Any]] = {
    # For tests: all parts of the work at the smallest sizes.
    "tiny": {
        "batch_size": 16,
        "sequence_length": 10,
        "vocabulary_size": 200,
        "lines": 320,
        "characters": 3,
        "scenes": 4,
        "filters": 8,
        "filter_widths": (2, 3),
        "mle_epochs": 2,
        "d_epochs": 1,
        "epochs": 3,
        "window": 10,
    },
    # The sizes of the SeqGAN paper's synthetic experiment (Yu et al., 2017, section 5.1).
    "paper": {},
    # Sizes for film and stage scripts, for a GPU.
    "script": {
        "sequence_length": 40,
        "vocabulary_size": 10000,
        "embedding_size": 128,
        "hidden_size": 512,
        "filters": 128,
    },
}
