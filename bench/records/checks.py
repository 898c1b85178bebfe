"""A gate's decision, as a frame of texts and as plain values."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bench.records.gate import Decision


def frame(decision: Decision) -> pd.DataFrame:
    """One row a check.

    Returns:
        Texts in the columns check, outcome, why.
    """
    rows = [(check.name, check.outcome.name.lower(), check.text) for check in decision.checks]
    return pd.DataFrame(rows, columns=["check", "outcome", "why"])


def plain(decision: Decision) -> dict[str, Any]:
    """For machines: outcome, exit_code, line and checks; numbers that are not finite are null."""
    return {
        "outcome": decision.outcome.name.lower(),
        "exit_code": int(decision.outcome),
        "line": decision.line,
        "checks": [
            {
                "name": check.name,
                "outcome": check.outcome.name.lower(),
                "text": check.text,
                **dict(zip(("estimate", "low", "high"), map(_finite, check.interval or (None,) * 3), strict=True)),
                "limit": check.limit,
            }
            for check in decision.checks
        ],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
