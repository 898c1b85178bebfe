"""Where an arm is asked to live, and where it has lived, as values: revision, interpreter, environment, folder."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from loop_bench.document import Frozen
from loop_bench.errors import UsageError


class Home(Frozen):
    """Where an arm is asked to live; what is left out is as in the run itself."""

    revision: str | None = None  # of the git repository around the current folder; None: the working tree as it is
    python: str | None = None  # the interpreter
    environment: dict[str, str] = Field(default_factory=dict)  # variables besides those of the run
    folder: str | None = None  # current folder of its process

    @property
    def is_here(self) -> bool:
        """Whether nothing is asked that the process of the run does not have itself."""
        return self == Home()

    @property
    def text(self) -> str:
        """What is asked, as options have it: `revision=main, TF_ENABLE_ONEDNN_OPTS=0`; empty if nothing is."""
        named = {"revision": self.revision, "python": self.python, "folder": self.folder, **self.environment}
        return ", ".join(f"{name}={value}" for name, value in named.items() if value is not None)


class Residence(Frozen):
    """Where an arm has lived, and on what."""

    revision: str | None = None  # as it was asked for; None: the working tree
    commit: str | None = None  # None: in no repository
    dirty: bool | None = None  # whether the working tree differed from it
    python: str  # version
    interpreter: str | None = None  # as it was asked for; None: that of the run
    versions: dict[str, str]  # of packages
    environment: dict[str, str] = Field(default_factory=dict)  # variables that were set for it
    folder: str | None = None  # current folder, as it was asked for
    notes: tuple[str, ...] = ()  # what it may lack, in words

    @property
    def code(self) -> str:
        """The revision, or the state of the working tree: `main (1a2b3c4)`, `working tree (1a2b3c4, with changes)`."""
        commit = self.commit[:7] if self.commit else "in no repository"
        changes = ", with changes" if self.dirty else ""
        return f"{self.revision or 'working tree'} ({commit}{changes})"

    @property
    def text(self) -> str:
        """All of it that decides what a loop does there: trials of another home are others."""
        named = {**self.versions, "python": self.python, "interpreter": self.interpreter}
        return ", ".join([self.code, *(f"{name}={value}" for name, value in named.items() if value), self.settings])

    @property
    def settings(self) -> str:
        """What was set for it besides, as options have it; empty if nothing was."""
        named = {"folder": self.folder, **self.environment}
        return ", ".join(f"{name}={value}" for name, value in named.items() if value is not None)


def variables(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Environment variables of texts such as `TF_ENABLE_ONEDNN_OPTS=0`; a later one of a name counts.

    Args:
        option: for messages.
        texts: each a name, an equals sign and a value, which may be empty.

    Raises:
        UsageError: a text is not of that form.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals) or "\0" in text:
            raise UsageError(f"{option} {text!r}: must be NAME=VALUE, such as TF_ENABLE_ONEDNN_OPTS=0")
        found[name] = value
    return found
