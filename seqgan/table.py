"""Reads tables from text files: decodes the text, and parses rows with the line on which each begins."""

from __future__ import annotations

import codecs
import csv
import io
import shlex
from collections.abc import Iterator
from pathlib import Path

from loop_bench.seqgan.errors import InputError

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Delimiters by name; also the candidates that messages suggest for a file with too few columns."""

# Longest first, because the mark of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SHOWN_NAMES = 12


def read_text(where: str, path: Path, encoding: str) -> str:
    """Reads the text of a file, without a byte order mark.

    Args:
        where: start of each error message.
        path: the file.
        encoding: Python's name of the encoding.

    Raises:
        InputError: the file is missing, is a folder, cannot be read, or has another encoding.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{where}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{where}: is a folder; name a file in it") from None
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror})") from None
    try:
        text = raw.decode(encoding)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = "" if _is_wide(encoding) else f", line {len(raw[: start + 1].splitlines())}"
        reason = f"byte {start}: {getattr(error, 'reason', error)}"
        raise InputError(f"{where}{line}: {_not_in(encoding, reason, raw)}") from None
    # Nearly any bytes can be decoded as UTF-16, but a real file has zero bytes in its line ends.
    if _is_wide(encoding) and raw and b"\0" not in raw:
        raise InputError(f"{where}: {_not_in(encoding, 'no byte of it is 0', raw)}")
    if "\0" in text[:4]:
        raise InputError(f"{where}: {_not_in(encoding, f'character {text.index(chr(0))} is 0', raw)}")
    return text.removeprefix("\ufeff")


def rows(where: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Parses the rows of a table by RFC 4180, the header first; skips rows without values.

    Blanks after a delimiter are not part of a value, so that a quote may follow them.

    Args:
        where: start of each error message.
        text: the whole table.
        delimiter: one character.

    Yields:
        The row's first line in the file, from 1, and the row's values, as many as the header has.

    Raises:
        InputError: a quote is misplaced or missing, or a row has more or fewer values than the header; the message
            names the row's first line.
    """
    lines = io.StringIO(text, newline="").readlines()
    # Not pandas, whose errors count rows instead of lines, and which silently takes an extra field as an index.
    # Without `strict` an unclosed quote would take the rest of the file as one value.
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    header: list[str] = []
    while True:
        first = reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            row = "".join(lines[first - 1 : reader.line_num])
            hint = "" if header else guess_delimiter([row], delimiter)
            fault = f"quotes are misplaced; {hint}" if hint else _misquoted(str(error), first, reader.line_num, row)
            raise InputError(f"{where}, line {first}: {fault}") from None
        if values is None:
            return
        if not any(map(str.strip, values)):
            continue
        header = header or values
        if len(values) != len(header):
            row = "".join(lines[first - 1 : reader.line_num])
            raise InputError(f"{where}, line {first}: {_miscounted(values, header, delimiter, row)}")
        yield first, values


def quoted(names: list[str]) -> str:
    """Names in quotes, so that blanks and delimiters in them are visible; at most the first twelve."""
    shown = ", ".join(map(repr, names[:_SHOWN_NAMES]))
    more = len(names) - _SHOWN_NAMES
    return (f"{shown} and {more} more" if more > 0 else shown) or "none"


def guess_delimiter(header: list[str], used: str) -> str:
    """Hint that names a delimiter which splits the header into more columns than the one used; "" if there is none."""
    line = used.join(header)
    name, delimiter = max(DELIMITERS.items(), key=lambda each: line.count(each[1]) if each[1] != used else -1)
    if line.count(delimiter) < len(header):
        return ""
    return f"separated by {name}s? --delimiter {'tab' if delimiter == DELIMITERS['tab'] else shlex.quote(delimiter)}"


def _misquoted(error: str, first: int, last: int, row: str) -> str:
    """Message for a row, on lines `first` to `last`, that the csv module cannot parse."""
    escaped = '; quotes inside a quoted text are doubled (""), not written \\"' if '\\"' in row else ""
    if "unexpected end" in error or "field limit" in error:
        until = "the end of the file" if "unexpected end" in error else f"line {last}"
        return f"a quote is opened in this row but not closed up to {until}{escaped}"
    if "expected after" in error:
        on = f" on line {last} (is a quote missing before?)" if last > first else ""
        doubled = escaped or '; quotes inside a quoted text are doubled ("")'
        return f"a quoted text continues after its closing quote{on}{doubled}"
    return f"not CSV ({error})"


def _miscounted(values: list[str], header: list[str], delimiter: str, row: str) -> str:
    """Message for a row that has more or fewer values than the header."""
    counts = f"{len(values)} fields, but the header has {len(header)}"
    if len(values) < len(header):
        return f"{counts}: {quoted([name.strip() for name in header[len(values) :]])} is missing"
    name = next((f"{name}s" for name, character in DELIMITERS.items() if character == delimiter), repr(delimiter))
    escaped = ', and quotes inside it are doubled (""), not written \\"' if '\\"' in row else ""
    return f"{counts}; a text with {name} in it needs quotes around it{escaped}"


def _not_in(encoding: str, reason: str, raw: bytes) -> str:
    """Message for a file that is not in an encoding, with the reason and the likely encoding."""
    title = "UTF-8" if _name(encoding) == "utf-8" else encoding
    guess = next((name for name in _candidates(raw) if _name(name) != _name(encoding) and _decodes(raw, name)), None)
    hint = f"; {_TITLES[guess]}? --encoding {guess}" if guess else "; give its encoding as --encoding NAME"
    return f"not {title} ({reason}){hint}"


_TITLES = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "latin-1": "Latin-1",
    "windows-1252": "Windows-1252",
}


def _candidates(raw: bytes) -> Iterator[str]:
    """Possible encodings of a file, the likeliest first."""
    yield from (name for mark, name in _BYTE_ORDER_MARKS if raw.startswith(mark))
    if b"\0" in raw:
        # In a header of Latin letters, every second byte is 0.
        yield from (name for name, zeros in (("utf-16-le", raw[1:4:2]), ("utf-16-be", raw[0:4:2])) if zeros == b"\0\0")
        return
    yield "utf-8"
    # Windows-1252 has letters and quotation marks where Latin-1 has control characters.
    yield "windows-1252" if any(0x80 <= byte < 0xA0 for byte in raw) else "latin-1"


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeError:
        return False
    return True


def _name(encoding: str) -> str:
    return codecs.lookup(encoding).name


def _is_wide(encoding: str) -> bool:
    return _name(encoding).startswith(("utf-16", "utf-32"))
