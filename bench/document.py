"""Values that are files: JSON with a schema version, written whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import InvalidRecordError, UsageError


class Frozen(BaseModel):
    """A value of plain fields, checked when it is made; JSON there and back."""

    # NaN and infinity are results here (a loss, a worst value), so JSON must keep them apart from nothing.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Document(Frozen):
    """One that is kept in a file; its field `schema_version` is a Literal, to be raised when other fields change."""

    title: ClassVar[str] = "record"
    """What it is called in messages."""

    def write_as(self, path: Path) -> Path:
        """Writes it, in place of what has the name, whole or not at all.

        Raises:
            UsageError: the folder cannot be written.
        """
        return write_whole(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The one in a file.

        Raises:
            UsageError: there is no such file, or it cannot be read.
            InvalidRecordError: there is no whole one of this schema in it.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"record {path}: cannot be read ({error.strerror})") from None
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            errors, current = error.errors(), cls.model_fields["schema_version"].default
            older = next(
                (e["input"] for e in errors if e["loc"] == ("schema_version",) and e["input"] != current), None
            )
            if older is not None:
                raise InvalidRecordError(
                    f"record {path}: is of schema {older!r}, and this version reads {current}; run again for a new one"
                ) from None
            where = ".".join(map(str, errors[0]["loc"])) or "the file"
            raise InvalidRecordError(f"record {path}: no whole {cls.title} ({where}: {errors[0]['msg']})") from None


def write_whole(path: Path, text: str) -> Path:
    """Writes a file such that no reader, and no crash, ever meets half of it; gives its path.

    Raises:
        UsageError: the folder cannot be made or written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"results folder {path.parent}: cannot be written ({error.strerror})") from None
    return path
