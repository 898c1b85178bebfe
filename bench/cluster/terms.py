"""The terms of trials: the code and the versions that a worker must share with the machine that gathers results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import Self

from loop_bench.document import Frozen
from loop_bench.jobs import folder
from loop_bench.jobs.trial import Trial

OWN = "loop_bench"

_HARNESS = "pytest-benchmark"
"""A package in the versions of an environment that no loop uses."""

_TITLES = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy", "python": "Python"}


def software(environment: Mapping[str, Any]) -> dict[str, str]:
    """The versions of an environment that decide what a loop computes."""
    versions = {name: str(version) for name, version in environment["versions"].items() if name != _HARNESS}
    return {**versions, "python": str(environment["python"])}


class Terms(Frozen):
    """What the loops of some trials run on, and what they are made of."""

    factories: tuple[str, ...]  # as `module:factory`
    scripts: tuple[str, ...]  # named in the options of the loops
    software: dict[str, str]  # versions, by package
    code: dict[str, str]  # digests, by package or module
    script: str  # digest of the scripts

    @classmethod
    def of(cls, trials: Iterable[Trial[Any]], environment: Mapping[str, Any]) -> Self:
        """The terms of trials, with the code and the versions of this process.

        Args:
            trials: to be run.
            environment: of the machine.
        """
        loops = [loop for trial in trials for loop in trial.loops]
        factories = tuple(sorted({factory for factory, _ in loops}))
        scripts = tuple(sorted({str(options["script"]) for _, options in loops if "script" in options}))
        return cls.here(factories, scripts, environment)

    @classmethod
    def here(cls, factories: tuple[str, ...], scripts: tuple[str, ...], environment: Mapping[str, Any]) -> Self:
        """The terms of loops in this process, whose code is found as a trial would find it."""
        return cls(
            factories=factories,
            scripts=scripts,
            software=software(environment),
            code=folder.code([*factories, f"{OWN}:"]),
            script=folder.of_files(map(Path, scripts)),
        )

    def digest(self, *more: object) -> str:
        """12 hexadecimal digits: the digest of these terms and of further values."""
        text = repr((self.model_dump_json(), *more))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def differences(self, other: Terms) -> list[str]:
        """Lists how another machine's terms differ from these; empty if they do not."""
        names = sorted({*self.software, *other.software})
        differing = [
            f"{_TITLES.get(name, name)} {other.software.get(name, 'missing')} (here {self.software.get(name, 'none')})"
            for name in names
            if self.software.get(name) != other.software.get(name)
        ]
        differing += [f"code of {root}" for root in self.code if self.code[root] != other.code.get(root)]
        return differing + ([f"the script {', '.join(self.scripts)}"] if self.script != other.script else [])
