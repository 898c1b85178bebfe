"""Findings: what was examined, how much it matters, and what to do about it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable
from typing import NamedTuple


class State(enum.Enum):
    """How much a finding matters; the values are words in tables and JSON."""

    OK = "ok"
    NOTE = "note"  # measuring works, and this should be known
    PROBLEM = "problem"  # stands in the way of measuring


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    found: str
    state: State = State.OK
    advice: str = ""  # one line; empty where nothing is to be done


class Part(NamedTuple):
    """Findings under a heading."""

    title: str
    findings: tuple[Finding, ...]


def problems(parts: Iterable[Part]) -> list[Finding]:
    """The findings that stand in the way of measuring."""
    return [each for part in parts for each in part.findings if each.state is State.PROBLEM]
