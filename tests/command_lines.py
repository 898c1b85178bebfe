"""Finds the command lines of this project in its workflows, scripts and guides."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]

_START = re.compile(r"(?<![\w.-])(?:pytest bench/ (?=-)|(?:(?<=`)|^ *)loop-bench (?=[a-z]))")
_IN_PROSE = re.compile(r"(?<![\w.-])(?:pytest bench/ (?=-)|(?<=`)loop-bench (?=[a-z]))")  # a sentence may begin so
_FENCE = "```"
_END = re.compile(r"\s+#|`|\s*(?:\|\||&&|;|>)")  # where a shell, or the Markdown around it, goes on to something else
_NO_ARGUMENTS = ("$@", "…")


def found(path):
    """Command lines of a file, each as a list of words; shell variables are not expanded."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    page = path.suffix == ".md"
    code = not page
    for line in text.splitlines():
        if page and line.lstrip().startswith(_FENCE):
            code = not code
        for start in (_START if code else _IN_PROSE).finditer(line):
            command = _END.split(line[start.start() :], maxsplit=1)[0]
            yield [word for word in shlex.split(command) if word not in _NO_ARGUMENTS]
