"""Git as the harness calls it, without fetching, and the commit of the folder that code is in."""

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
"""Variables that bind git to one repository, as in a hook; variables with settings are kept (`safe.directory`)."""

_QUIETLY = {
    "GIT_ALLOW_PROTOCOL": "none",  # git would fetch what a partial clone lacks
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # a status must not block the user's own git commands
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}

_SETTINGS = {
    "core.hooksPath": os.devnull,  # no command here is a step of the user's work
    "core.fsmonitor": "false",  # it would start a process that stays
    "core.splitIndex": "false",
    "submodule.recurse": "false",
}


class GitError(Exception):
    """Git has failed; the message is git's, as one line."""


def git(
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    held: int | None = None,
    timeout: float | None = None,
) -> str:
    """Runs git without hooks and without a network, and returns its output; an interrupt ends git's processes too.

    Args:
        folder: in which git runs.
        arguments: command and arguments.
        variables: added to those of this process, from which all that bind git to a repository are removed.
        held: an open file, such as a lock, that git and its processes keep open as long as they live.
        timeout: in seconds.

    Raises:
        GitError: git has failed.
        UsageError: git is not installed.
        subprocess.TimeoutExpired: git has not ended in time.
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
            start_new_session=True,  # so that git's own processes can be ended with it
        )
    except OSError as error:
        raise UsageError(f"git: cannot be started ({error.strerror}); it is needed to read revisions") from None
    with process:
        try:
            printed, errors = process.communicate(timeout=timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if process.returncode:
        lines = [line.strip() for line in os.fsdecode(errors).splitlines()]
        raise GitError(" ".join(filter(None, lines)) or f"git {arguments[0]}: exit code {process.returncode}")
    return os.fsdecode(printed).removesuffix("\n")


def state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of a folder's working tree, and whether the working tree differs from that commit.

    Returns:
        Forty or more hexadecimal digits, and whether it is dirty; None for what is unknown: no git, no repository.
    """
    status = _output(folder, "status", "--porcelain")
    # A run itself writes bytecode, which a project may not have told git to ignore.
    changed = None if status is None else [line for line in status.splitlines() if not line.endswith("__pycache__/")]
    return _output(folder, "rev-parse", "--verify", "HEAD"), None if changed is None else bool(changed)


def _output(folder: Path, *arguments: str) -> str | None:
    try:
        return git(folder, *arguments, timeout=10)
    except (GitError, UsageError, subprocess.TimeoutExpired):
        return None
