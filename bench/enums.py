"""Enumerations whose members are texts."""

from __future__ import annotations

import enum


class StrEnum(str, enum.Enum):
    """The enum.StrEnum of Python 3.11, for 3.10 too: a member is its text, also when it is formatted."""

    __str__ = str.__str__
