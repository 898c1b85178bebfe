"""Values that are stored in files: JSON with a schema version, written whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import Self

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.writing import write_whole

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Count = Annotated[int, Field(ge=0)]


class Frozen(BaseModel):
    """An immutable value of plain fields, validated on creation and convertible to JSON and back."""

    # NaN and infinity are results here (a loss, a worst value), so JSON must distinguish them from null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Document(Frozen):
    """A value that is stored in a file.

    A class narrows the first two fields to Literals: `kind` distinguishes its documents from those of other classes,
    and `schema_version` must be raised when other fields change.
    """

    title: ClassVar[str] = "record"
    """The class's name in messages."""

    kind: str
    schema_version: int

    def write_as(self, path: Path) -> Path:
        """Writes the file, whole or not at all; an earlier file of this name is replaced.

        Raises:
            UsageError: the folder cannot be written.
        """
        return write_whole(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads the value from a file.

        Raises:
            UsageError: the file does not exist, or cannot be read.
            InvalidRecordError: the file holds no complete value of this schema.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"record {path}: cannot be read ({error.strerror})") from None
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise InvalidRecordError(f"record {path}: {cls._problem(error)}") from None

    @classmethod
    def _problem(cls, error: ValidationError) -> str:
        """The first error in one line; another kind or schema comes before all others."""
        errors = error.errors()
        given = {str(detail["loc"][0]): detail["input"] for detail in errors if len(detail["loc"]) == 1}
        kind, schema = (cls.model_fields[name].default for name in ("kind", "schema_version"))
        if given.get("kind", kind) != kind:
            return f"is of kind {given['kind']!r}, but {kind!r} is needed here"
        if given.get("schema_version", schema) != schema:
            return f"is of schema {given['schema_version']!r}, and this version reads {schema}; run again for a new one"
        where = ".".join(map(str, errors[0]["loc"])) or "the file"
        return f"no whole {cls.title} ({where}: {errors[0]['msg']})"
