"""The options of `pytest bench/`, and what they must be."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bench import arms
from bench.errors import UsageError
from bench.record import Settings

DEFAULT_RESULTS = "results/runs"


def add(parser: pytest.Parser) -> None:
    """Declares the options. All are texts: what is wrong with one is said by `check`, in one line."""
    group = parser.getgroup("bench", "comparing two training loops")
    group.addoption("--preset", help=f"size of the work: {', '.join(arms.PRESETS)} (default: by the device)")
    group.addoption("--batches", default="20", help="batches of each loop in a round (default: 20)")
    group.addoption("--rounds", default="10", help="rounds in each order, before first and after first (default: 10)")
    group.addoption("--seed", default="0", help="of weights, data and draws (default: 0)")
    group.addoption("--script", help="train on this script, CSV or JSON Lines, instead of synthetic lines")
    group.addoption("--before", default=arms.BEFORE, help=f"module:factory of the reference (default: {arms.BEFORE})")
    group.addoption("--after", default=arms.AFTER, help=f"module:factory of the contender (default: {arms.AFTER})")
    group.addoption("--results", default=DEFAULT_RESULTS, help=f"folder for records (default: {DEFAULT_RESULTS})")


def check(config: pytest.Config) -> None:
    """Looks at what can be wrong before anything slow is begun.

    Raises:
        UsageError: an option is wrong; it says which and how.
    """
    for name, least in (("batches", 1), ("rounds", 1), ("seed", 0)):
        _whole_number(config, name, least)
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        raise UsageError("-n: measurements would disturb each other; run bench/ in one process")
    option, script = config.getoption, config.getoption("script")
    if script and not Path(script).is_file():
        raise UsageError(f"script {script}: no such file")
    arms.check(option("before"), option("after"), option("preset"), int(option("seed")), _loop_options(config))
    _writable(results(config))


def settings(config: pytest.Config) -> Settings:
    """The settings that the options, once checked, stand for; starts TensorFlow to choose a default preset."""
    return Settings(
        before=config.getoption("before"),
        after=config.getoption("after"),
        preset=config.getoption("preset") or arms.default_preset(),
        seed=int(config.getoption("seed")),
        batches=int(config.getoption("batches")),
        rounds=int(config.getoption("rounds")),
        options=_loop_options(config),
    )


def results(config: pytest.Config) -> Path:
    """The folder for records."""
    return Path(config.getoption("results"))


def _loop_options(config: pytest.Config) -> dict[str, str]:
    """What a factory finds in the options of its LoopSpec."""
    script = config.getoption("script")
    return {"script": script} if script else {}


def _whole_number(config: pytest.Config, name: str, least: int) -> None:
    text = config.getoption(name)
    if not text.isdecimal() or int(text) < least:
        raise UsageError(f"--{name} {text!r}: must be a whole number of at least {least}")


def _writable(folder: Path) -> None:
    """Tries it, and leaves no trace: a run that stops early should not have made a folder."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UsageError(f"--results {folder}: cannot be written ({error.strerror})") from None
