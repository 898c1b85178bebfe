"""The home of an arm, as requested and as it was: revision, interpreter, environment variables, folder."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from loop_bench.document import Frozen
from loop_bench.errors import UsageError


class Home(Frozen):
    """The requested home of an arm; what is omitted is as in the run itself."""

    revision: str | None = None  # of the git repository around the current folder; None: the working tree as it is
    python: str | None = None  # the interpreter
    environment: dict[str, str] = Field(default_factory=dict)  # variables besides those of the run
    folder: str | None = None  # current folder of its process

    @property
    def is_here(self) -> bool:
        """Whether the home is the process of the run itself."""
        return self == Home()

    @property
    def text(self) -> str:
        """The request in the form of options, such as `revision=main, TF_ENABLE_ONEDNN_OPTS=0`; empty for none."""
        named = {"revision": self.revision, "python": self.python, "folder": self.folder, **self.environment}
        return ", ".join(f"{name}={value}" for name, value in named.items() if value is not None)


class Residence(Frozen):
    """The home that an arm had, with the versions of its software."""

    revision: str | None = None  # as requested; None: the working tree
    commit: str | None = None  # None: in no repository
    dirty: bool | None = None  # whether the working tree differed from it
    python: str  # version
    interpreter: str | None = None  # as requested; None: that of the run
    versions: dict[str, str]  # of packages
    environment: dict[str, str] = Field(default_factory=dict)  # variables that were set for it
    folder: str | None = None  # current folder, as requested
    notes: tuple[str, ...] = ()  # sentences on what it may lack

    @property
    def code(self) -> str:
        """The revision, or the state of the working tree: `main (1a2b3c4)`, `working tree (1a2b3c4, with changes)`."""
        commit = self.commit[:7] if self.commit else "in no repository"
        changes = ", with changes" if self.dirty else ""
        return f"{self.revision or 'working tree'} ({commit}{changes})"

    @property
    def text(self) -> str:
        """Everything in the home that decides what a loop does: trials in another home are other trials."""
        named = {**self.versions, "python": self.python, "interpreter": self.interpreter}
        return ", ".join([self.code, *(f"{name}={value}" for name, value in named.items() if value), self.settings])

    @property
    def settings(self) -> str:
        """What else was set for the home, in the form of options; empty for nothing."""
        named = {"folder": self.folder, **self.environment}
        return ", ".join(f"{name}={value}" for name, value in named.items() if value is not None)


def variables(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Parses environment variables such as `TF_ENABLE_ONEDNN_OPTS=0`; the last value of a name counts.

    Args:
        option: name of the option, for messages.
        texts: each a name, an equals sign and a value, which may be empty.

    Raises:
        UsageError: a text does not have that form.
    """
    parsed = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals) or "\0" in text:
            raise UsageError(f"{option} {text!r}: must be NAME=VALUE, such as TF_ENABLE_ONEDNN_OPTS=0")
        parsed[name] = value
    return parsed
