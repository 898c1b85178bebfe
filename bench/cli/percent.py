"""Percentages as they are written on a command line."""

from __future__ import annotations

from bench.errors import UsageError


def parse(option: str, text: str) -> float:
    """The share that a text such as `5%` or `2.5%` stands for.

    The sign is wanted: whether a bare 5 or 0.05 is meant as 5% nobody can know.

    Raises:
        UsageError: it is no percentage, or not above zero; it names the option.
    """
    number, sign, rest = text.strip().partition("%")
    try:
        share = float(number) / 100
    except ValueError:
        share = float("nan")
    if not sign or rest or not 0 < share < float("inf"):
        raise UsageError(f"{option} {text!r}: must be a percentage above zero with its sign, such as 5%")
    return share
