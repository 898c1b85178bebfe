"""Reads scripts: files of lines with their characters and scenes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import Self

from loop_bench.seqgan import table
from loop_bench.seqgan.errors import InputError

ROLES = ("character", "scene", "text")
"""Roles of a script's columns, which are also the columns' default names."""

_NEEDED = ("character", "text")
ONLY_SCENE = "all"
"""Scene of every line in a script without scenes."""

_TABLES = {".csv": ",", ".tsv": "\t"}  # suffixes of tables, with their default delimiters
_JSON_LINES = (".jsonl", ".ndjson")
_ENDINGS = (*_TABLES, *_JSON_LINES)


class Speech(NamedTuple):
    """One line of dialogue."""

    character: str
    scene: str
    text: str


@dataclasses.dataclass(frozen=True)
class ScriptFile:
    """Path and format of a script; all fields are texts, as in the command line's options.

    Raises:
        InputError: a field is invalid; the message names its option.
    """

    path: str
    columns: str | None = None  # "character=Speaker,text=Line"; the column of any other role has the role's name
    delimiter: str | None = None  # a character, or one of `table.DELIMITERS`; None: by the file's suffix
    encoding: str = "utf-8"  # as Python names it

    def __post_init__(self) -> None:
        if self.delimiter is not None and self.suffix in _JSON_LINES:
            raise InputError(f"--delimiter {self.delimiter!r}: {self.suffix} files have none; leave it out")
        parse_delimiter(self.delimiter)
        parse_columns(self.columns)
        try:
            " ".encode(self.encoding)
        except (LookupError, UnicodeError, ValueError):
            raise InputError(
                f"--encoding {self.encoding!r}: unknown to Python; common ones are utf-8, utf-16, latin-1, windows-1252"
            ) from None

    def __str__(self) -> str:
        return self.path

    @classmethod
    def of(cls, script: Self | str | Path) -> Self:
        """A `ScriptFile` unchanged, or one for a path with the default format."""
        return script if isinstance(script, cls) else cls(str(script))

    @classmethod
    def taken_from(cls, options: Mapping[str, Any]) -> tuple[Self | None, dict[str, Any]]:
        """Takes the script and its format out of a loop's options; returns it and the remaining options.

        Raises:
            InputError: an option gives the format of a script, but there is no script.
        """
        written = {name: options[name] for name in WRITTEN if options.get(name) is not None}
        left = {name: value for name, value in options.items() if name not in ("script", *WRITTEN)}
        if options.get("script") is not None:
            return cls(str(options["script"]), **written), left
        for name, value in written.items():
            raise InputError(f"--{name} {value!r}: says how a script is written; needs --script as well")
        return None, left

    def to_options(self) -> dict[str, str]:
        """Options from which `taken_from` makes this script."""
        written = {name: getattr(self, name) for name in WRITTEN}
        return {"script": self.path, **{name: value for name, value in written.items() if value is not None}}

    @property
    def suffix(self) -> str:
        """Suffix of the file's name, in lower case."""
        return Path(self.path).suffix.lower()


WRITTEN = tuple(field.name for field in dataclasses.fields(ScriptFile))[1:]
"""Names of the options for the format of a script."""


def parse_delimiter(text: str | None) -> str | None:
    r"""The delimiter character for an option's text; `\t` may be written with a backslash, as a shell passes it.

    Raises:
        InputError: the text does not denote a possible delimiter.
    """
    if text is None:
        return None
    delimiter = {**table.DELIMITERS, "\\t": "\t"}.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in '"\r\n ':
        names = ", ".join(table.DELIMITERS)
        raise InputError(f"--delimiter {text!r}: must be one character (no quote or blank) or one of {names}")
    return delimiter


def parse_columns(text: str | None) -> dict[str, str]:
    """Names of columns by role, from a text such as `character=Speaker,text=Line`.

    An entry whose column's name contains a comma must be in double quotes.

    Raises:
        InputError: the text has another form, an unknown role, or a role or a column twice.
    """
    found: dict[str, str] = {}
    if text is None:
        return found
    where = f"--columns {text!r}"
    for entry in next(csv.reader([" ".join(text.splitlines())], skipinitialspace=True), []) or [""]:
        role, _, column = (part.strip() for part in entry.partition("="))
        if not (role and column):
            raise InputError(f"{where}: must be ROLE=COLUMN,..., e.g. character=Speaker,text=Line")
        if role.lower() not in ROLES:
            hint = f" (did you mean {column}={role}?)" if column.lower() in ROLES else ""
            raise InputError(f"{where}: role {role!r} is unknown{hint}; the roles are {', '.join(ROLES)}")
        role = role.lower()
        if role in found:
            raise InputError(f"{where}: role {role!r} is given twice")
        if column.casefold() in map(str.casefold, found.values()):
            raise InputError(f"{where}: column {column!r} is given twice")
        found[role] = column
    return found


def read_script(script: ScriptFile | str | Path) -> list[Speech]:
    """Reads the speeches of a script, in order.

    Args:
        script: CSV with a header (`.csv`, `.tsv`), or one JSON object per line (`.jsonl`, `.ndjson`), with a character,
            a text and, unless all lines are of one scene, a scene.

    Raises:
        InputError: the file is missing, empty, or of another kind or encoding; it lacks a column, key or value; or a
            row does not match the header. The message names the first line of the row.
    """
    script = ScriptFile.of(script)
    where = f"script {script}"
    text = table.read_text(where, Path(script.path), script.encoding)
    if script.suffix not in _ENDINGS:
        raise InputError(f"{where}: its name must end in one of {', '.join(_ENDINGS)}")
    if not text.strip():
        raise InputError(f"{where}: is empty; it needs at least one line with {' and '.join(_NEEDED)}")
    speeches = list((_of_json_lines if script.suffix in _JSON_LINES else _of_table)(where, text, script))
    if not speeches:
        raise InputError(f"{where}: has a header, but no lines below it")
    return speeches


def _of_table(where: str, text: str, script: ScriptFile) -> Iterator[Speech]:
    delimiter = parse_delimiter(script.delimiter) or _TABLES[script.suffix]
    rows = table.rows(where, text, delimiter)
    header = next(rows, (1, []))[1]
    names = [name.strip() for name in header]
    twice = [name for number, name in enumerate(names) if name and name in names[:number]]
    if twice:
        raise InputError(f"{where}: has column {twice[0]!r} twice; its columns are {table.quoted(names)}")
    hint = table.guess_delimiter(names, delimiter)
    places = _places(where, "column", names, parse_columns(script.columns), hint)
    for line, values in rows:
        yield _speech(f"{where}, line {line}", "column", names, values, places)


def _of_json_lines(where: str, text: str, script: ScriptFile) -> Iterator[Speech]:
    has_scenes = None
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if not line.strip():
            continue
        here = f"{where}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{here}: not JSON ({error.msg})") from None
        if not isinstance(row, dict):
            raise InputError(f"{here}: must be an object with {' and '.join(_NEEDED)}")
        names = [name.strip() for name in row]
        places = _places(here, "key", names, parse_columns(script.columns))
        if has_scenes not in (None, "scene" in places):
            raise InputError(f"{here}: has {'no' if has_scenes else 'a'} scene, unlike the lines before")
        has_scenes = "scene" in places
        yield _speech(here, "key", names, list(row.values()), places)


def _places(where: str, kind: str, names: list[str], wanted: Mapping[str, str], hint: str = "") -> dict[str, int]:
    """Index of each role among the columns or keys `names`, ignoring case; the scene may be missing.

    Raises:
        InputError: a role has no column or several; `hint` is a possible reason why it has none.
    """
    found: dict[str, int] = {}
    missing = []
    for role in ROLES:
        name = wanted.get(role, role)
        same = [place for place, other in enumerate(names) if other.casefold() == name.casefold()]
        exact = [place for place in same if names[place] == name] or same
        if len(exact) > 1:
            both = table.quoted([names[place] for place in exact])
            raise InputError(f"{where}: {kind}s {both} could each be {name!r}; --columns {role}=NAME says which")
        if exact:
            found[role] = exact[0]
        elif role in wanted or role in _NEEDED:
            missing.append(name)
    if missing:
        one = len(missing) == 1
        unnamed = [f"{role}=NAME" for role in _NEEDED if role not in found and role not in wanted]
        hint = hint or (f"give other names as --columns {','.join(unnamed)}" if unnamed else "")
        raise InputError(
            f"{where}: {kind}{'' if one else 's'} {' and '.join(map(repr, missing))} {'is' if one else 'are'} missing; "
            f"its {kind}s are {table.quoted(names)}{f'; {hint}' if hint else ''}"
        )
    if len(set(found.values())) < len(found):
        shared = [role for role in found if [*found.values()].count(found[role]) > 1]
        raise InputError(f"{where}: {kind} {names[found[shared[0]]]!r} cannot be {' and '.join(shared)} at once")
    return found


def _speech(where: str, kind: str, names: Sequence[str], values: Sequence[object], places: Mapping[str, int]) -> Speech:
    cleaned = {"scene": ONLY_SCENE}
    for role, place in places.items():
        value = values[place]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)  # a scene such as 3 or 3.1, not quoted in a JSON file
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{where}: {kind} {names[place]!r} is {value!r} but must be a text that is not empty")
        cleaned[role] = value.strip()
    return Speech(**cleaned)
