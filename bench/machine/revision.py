"""What git says of the folder that code is in: one way to ask it, which never fetches, and the commit there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from loop_bench.errors import UsageError

_BOUND = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
"""Variables that bind git to one repository, as a hook has them; those that carry settings stay (`safe.directory`)."""

_QUIETLY = {
    "GIT_ALLOW_PROTOCOL": "none",  # of a partial clone, git would fetch what is missing
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # a status must not stop what the user does in another window
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}

_SETTINGS = {
    "core.hooksPath": os.devnull,  # what is run here is no step of the user's
    "core.fsmonitor": "false",  # starts a process that stays
    "core.splitIndex": "false",
    "submodule.recurse": "false",
}


class GitError(Exception):
    """Git has failed; the message is what it said, as one line."""


def git(
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    held: int | None = None,
    timeout: float | None = None,
) -> str:
    """What git prints, without hooks and without a network; if it is interrupted, so is all that git has started.

    Args:
        folder: in which it runs.
        arguments: command and arguments.
        variables: of its environment, besides those of this process that bind it to no repository.
        held: an open file, such as a lock, that git and its processes keep open as long as they live.
        timeout: in seconds.

    Raises:
        GitError: it has failed.
        UsageError: there is no git.
        subprocess.TimeoutExpired: it has not ended in time.
    """
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    environment = {name: value for name, value in os.environ.items() if name not in _BOUND}
    try:
        process = subprocess.Popen(
            ["git", "-C", str(folder), *settings, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, **_QUIETLY, **(variables or {})},
            pass_fds=() if held is None else (held,),
            start_new_session=True,  # git's own processes would go on without it
        )
    except OSError as error:
        raise UsageError(f"git: cannot be started ({error.strerror}); revisions are read with it") from None
    with process:
        try:
            printed, said = process.communicate(timeout=timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if process.returncode:
        lines = [line.strip() for line in os.fsdecode(said).splitlines()]
        raise GitError(" ".join(filter(None, lines)) or f"git {arguments[0]}: exit code {process.returncode}")
    return os.fsdecode(printed).removesuffix("\n")


def state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit that a folder's working tree is at, and whether anything in it is not as in that commit.

    Returns:
        Forty or more hexadecimal digits, and whether it is dirty; None for what is not known: no git, no repository.
    """
    status = _asked(folder, "status", "--porcelain")
    # A run itself writes bytecode, which a project need not have told git to ignore.
    changed = None if status is None else [line for line in status.splitlines() if not line.endswith("__pycache__/")]
    return _asked(folder, "rev-parse", "--verify", "HEAD"), None if changed is None else bool(changed)


def _asked(folder: Path, *arguments: str) -> str | None:
    try:
        return git(folder, *arguments, timeout=10)
    except (GitError, UsageError, subprocess.TimeoutExpired):
        return None
