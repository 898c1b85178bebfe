"""Exit codes, faults, outcomes and verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from generating.contract import documented, source
from generating.markdown import code, prose, table
from loop_bench.experiments.run import terms
from loop_bench.experiments.survival import outcome, plan
from loop_bench.experiments.survival.fault import Fault

PYTEST_CODES = {
    "OK": "every test passed",
    "TESTS_FAILED": "a test failed",
    "INTERRUPTED": "Ctrl-C",
    "INTERNAL_ERROR": "pytest, or a plugin, failed",
    "USAGE_ERROR": "an option or file that pytest does not know",
    "NO_TESTS_COLLECTED": "no test was found, as by `-k` with a name that is not there",
}
"""Exit codes that every supported pytest has."""


def exit_code_parts() -> Iterator[tuple[str, str]]:
    """The parts of exit-codes.md."""
    outcomes = source("loop_bench.records.gate")["Outcome"].attributes
    rows = [
        (code(each.value), name.lower(), prose(each.docstring.value if each.docstring else ""))
        for name, each in outcomes.items()
    ]
    yield "gate", table(("code", "outcome", "meaning"), rows)
    rows = [(code(int(pytest.ExitCode[name])), code(name), meaning) for name, meaning in PYTEST_CODES.items()]
    yield "pytest", table(("code", "name", "meaning"), rows)


FAULT_SETS = {
    "in every run": lambda: plan.SHORT,
    "one batch of gradients": lambda: plan.MAGNITUDES,
    "gradients, otherwise": lambda: plan.SHAPES,
    "outside the gradients": lambda: plan.ELSEWHERE,
    "with `--replicas` above 1": lambda: plan.ONE_REPLICA,
}


def fault_parts() -> Iterator[tuple[str, str]]:
    """The parts of faults.md."""
    fault = source("loop_bench.experiments.survival.fault")["Fault"]
    said = {each.name: each.description for each in documented(fault)["attributes"]}
    standard = {field.name: field.default for field in dataclasses.fields(Fault)}
    said["place"] = "where the fault gets in: [below](#where-can-a-fault-get-in)"
    rows = [
        (
            code("in" if name == "place" else name),
            code("" if (known := standard[name]) is None else known),
            prose(words),
        )
        for name, words in said.items()
        if name not in ("kind", "factor")
    ]
    yield "keys", table(("key", "default", "meaning"), rows)
    yield (
        "matrix",
        table(
            ("when", "fault", "in words"),
            [
                (when, code(text), Fault.parse(text).describe())
                for when, texts in FAULT_SETS.items()
                for text in texts()
            ],
        ),
    )
    yield (
        "outcomes",
        table(("outcome", "what was observed"), [(name, prose(text)) for name, text in outcome.MEANINGS.items()]),
    )


def verdict_parts() -> Iterator[tuple[str, str]]:
    """The parts of verdicts.md; invalid comes first, as it is looked for before any interval."""
    ordered = sorted(terms.VERDICTS, key=lambda term: term.word != "invalid")
    yield "verdicts", table(("verdict", "meaning"), [(f"**{each.word}**", prose(each.meaning)) for each in ordered])
