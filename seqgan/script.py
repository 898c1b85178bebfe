"""Reading a real script: who says what in which scene."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from seqgan.errors import InputError

COLUMNS = ("character", "scene", "text")


class Speech(NamedTuple):
    """One line of dialogue."""

    character: str
    scene: str
    text: str


def read_script(path: str | Path) -> list[Speech]:
    """The speeches of a script in its order.

    Args:
        path: a UTF-8 file with `character`, `scene` and `text`: CSV with a header (`.csv`),
            or one JSON object a line (`.jsonl`, `.ndjson`).

    Raises:
        InputError: the file is missing, of another kind, not UTF-8, empty, or lacks a column, key or value.
    """
    path = Path(path)
    readers = {".csv": _read_csv, ".jsonl": _read_json_lines, ".ndjson": _read_json_lines}
    if path.suffix.lower() not in readers:
        raise InputError(f"script {path}: its name must end in one of {', '.join(readers)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"script {path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"script {path}: not UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"script {path}: cannot be read ({error.strerror})") from None
    speeches = list(readers[path.suffix.lower()](path, text))
    if not speeches:
        raise InputError(f"script {path}: holds no line; it needs at least one with {', '.join(COLUMNS)}")
    return speeches


def _read_csv(path: Path, text: str) -> Iterator[Speech]:
    # Without `strict` an unclosed quote would swallow the rest of the file as one speech.
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames
        if header is None:
            return
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise InputError(f"script {path}: column {missing[0]!r} is missing; its columns are {', '.join(header)}")
        for row in reader:
            yield _speech(f"script {path}, line {reader.line_num}", [row[column] for column in COLUMNS])
    except csv.Error as error:
        raise InputError(f"script {path}, line {reader.line_num}: not CSV ({error})") from None


def _read_json_lines(path: Path, text: str) -> Iterator[Speech]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"script {path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON ({error.msg})") from None
        if not isinstance(row, dict):
            raise InputError(f"{where}: must be an object with {', '.join(COLUMNS)}")
        missing = [column for column in COLUMNS if column not in row]
        if missing:
            raise InputError(f"{where}: key {missing[0]!r} is missing; its keys are {', '.join(row) or 'none'}")
        yield _speech(where, [row[column] for column in COLUMNS])


def _speech(where: str, values: Iterable[object]) -> Speech:
    cleaned = []
    for column, value in zip(COLUMNS, values, strict=True):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)  # scene 3 or 3.1 of a JSON file that did not quote it
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{where}: {column} is {value!r} but must be a text that is not empty")
        cleaned.append(value.strip())
    return Speech(*cleaned)
