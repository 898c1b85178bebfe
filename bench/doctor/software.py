"""Findings on what is installed: Python, this package, its extras, TensorFlow and Keras."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence

from loop_bench import extras
from loop_bench.doctor.finding import Finding, State
from loop_bench.doctor.tensorflow_process import TensorFlow

PYTHON = ((3, 10), (3, 13))
TENSORFLOW = ((2, 16), (2, 21))
"""The oldest and the newest version that this package is tested with. Older ones lack what it needs; newer ones are
untested, but not refused."""

USES = {
    "compare": "run, gate, reports, experiments",
    "history": "change points in `history`",
    "cluster": "experiments on other machines (`--on`)",
    "seqgan": "the built-in pair's training and sampling",
}
"""Purpose of each extra that does not install TensorFlow."""

_DISTRIBUTION = "loop-bench"
_LEAST = re.compile(r"([\w.-]+)[^;]*?>=\s*([\d.]+)[^;]*(?:;.*extra\s*==\s*['\"]([\w-]+)['\"])?")

Versions = Callable[[str], "str | None"]
"""Returns the version of a distribution; None if it is not installed."""


def version(distribution: str) -> str | None:
    """The version of a distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def findings(report: TensorFlow | str, environ: Mapping[str, str]) -> list[Finding]:
    """Findings on Python, this package, its extras, TensorFlow and Keras.

    Args:
        report: from TensorFlow's own process, or one line that says why there is none.
        environ: the environment variables.
    """
    try:
        requires = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        requires = []
    return [
        python(sys.version_info[:3], sys.prefix),
        package(requires, version),
        *(extra(name, extras.missing(name), requires, version) for name in USES),
        *(without_tensorflow(report) if isinstance(report, str) else tensorflow(report, environ)),
    ]


def python(running: tuple[int, ...], where: str) -> Finding:
    """Checks whether this Python is in the tested range.

    Args:
        running: its version.
        where: the environment's folder.
    """
    text = f"{'.'.join(map(str, running))} in {where}"
    if running[:2] < PYTHON[0]:
        advice = f"make an environment with Python {_dotted(PYTHON[0])} to {_dotted(PYTHON[1])}"
        return Finding("Python", f"{text}: older than {_dotted(PYTHON[0])}", State.PROBLEM, advice)
    if running[:2] > PYTHON[1]:
        return Finding("Python", f"{text}: newer than {_dotted(PYTHON[1])}, not tested", State.NOTE)
    return Finding("Python", text)


def package(requires: Sequence[str], versions: Versions) -> Finding:
    """Checks this package and what its core needs."""
    own = versions(_DISTRIBUTION)
    core = least(requires)
    installed = [f"{name} {versions(name)}" for name in core or ("numpy", "rich", "typer")]
    if own is None:
        return Finding(
            "loop-bench", f"runs from its source, not installed; {', '.join(installed)}", State.NOTE,
            "pip install PATH_TO_THE_CLONE registers its command and its pytest plugins",
        )  # fmt: skip
    text = f"{own} with {', '.join(installed)}"
    if outdated := _older(core, versions):
        return Finding("loop-bench", f"{text}: {', '.join(outdated)}", State.PROBLEM, f"pip install '{_DISTRIBUTION}'")
    return Finding("loop-bench", text)


def extra(name: str, missing: Sequence[str], requires: Sequence[str], versions: Versions) -> Finding:
    """Checks what an extra installs.

    Args:
        name: of the extra.
        missing: its distributions that are not installed.
        requires: requirements of this package, as its metadata list them.
        versions: of installed distributions.
    """
    title, install = f"extra {name}", f"pip install '{_DISTRIBUTION}[{name}]'"
    if missing:
        text = f"not installed: {', '.join(missing)}; needed for {USES[name]}"
        return Finding(title, text, State.NOTE, install)
    if outdated := _older(least(requires, name), versions):
        return Finding(title, ", ".join(outdated), State.NOTE, install)
    return Finding(title, ", ".join(f"{each} {versions(each) or '?'}" for each in extras.EXTRAS[name]))


def least(requires: Sequence[str], of_extra: str | None = None) -> dict[str, str]:
    """The least version of each distribution that an extra, or else the core, needs.

    Args:
        requires: the package's requirements as its metadata have them, such as `scipy>=1.15; extra == 'compare'`.
        of_extra: name of the extra.
    """
    matches = (_LEAST.match(requirement) for requirement in requires)
    return {match[1]: match[2] for match in matches if match and match[3] == of_extra}


def _older(needed: Mapping[str, str], versions: Versions) -> list[str]:
    installed = {name: versions(name) for name in needed}
    return [
        f"{name} {has} is older than {needed[name]}"
        for name, has in installed.items()
        if has is not None and _numbers(has) < _numbers(needed[name])
    ]


def without_tensorflow(why: str) -> list[Finding]:
    """The findings where TensorFlow cannot be examined."""
    if extras.missing("tensorflow"):
        advice = f"pip install '{_DISTRIBUTION}[tensorflow]', or any build of it from {_dotted(TENSORFLOW[0])} on"
        return [Finding("TensorFlow", "not installed", State.PROBLEM, advice)]
    advice = 'python -c "import tensorflow" shows the whole error; the build must fit this Python, NumPy and processor'
    return [Finding("TensorFlow", why, State.PROBLEM, advice)]


def tensorflow(report: TensorFlow, environ: Mapping[str, str]) -> list[Finding]:
    """Findings on the versions of TensorFlow and Keras, and on which host syncs can be recorded with them."""
    return [_version_of(report), _keras(report, environ), _routes(report)]


def _version_of(report: TensorFlow) -> Finding:
    named = [each for each in report.distributions if each != "tensorflow"]
    text = report.version + (f" ({', '.join(report.distributions)})" if named else "")
    oldest, newest = TENSORFLOW
    if len(report.distributions) > 1:
        advice = f"pip uninstall {' '.join(report.distributions)}, then install one of them again"
        return Finding("TensorFlow", f"{text}: installed over each other", State.PROBLEM, advice)
    if _numbers(report.version)[:2] < oldest:
        advice = f"pip install 'tensorflow>={_dotted(oldest)}'"
        return Finding("TensorFlow", f"{text}: older than {_dotted(oldest)}", State.PROBLEM, advice)
    if _numbers(report.version)[:2] > newest:
        return Finding("TensorFlow", f"{text}: newer than {_dotted(newest)}, not tested", State.NOTE)
    return Finding("TensorFlow", text)


def _keras(report: TensorFlow, environ: Mapping[str, str]) -> Finding:
    legacy = environ.get("TF_USE_LEGACY_KERAS")
    if report.keras_error:
        advice = "pip install tf_keras of TensorFlow's version, or unset TF_USE_LEGACY_KERAS" if legacy else ""
        return Finding("Keras", report.keras_error, State.PROBLEM, advice or "pip install keras")
    return Finding("Keras", f"{report.keras}{f' (TF_USE_LEGACY_KERAS={legacy})' if legacy else ''}")


def _routes(report: TensorFlow) -> Finding:
    name = "host syncs"
    if report.routes_error:
        return Finding(
            name, f"cannot be recorded: {report.routes_error}", State.PROBLEM, "report it with these versions"
        )
    unseen = {route: reason for route, reason in report.routes.items() if reason}
    if unseen:
        text = "; ".join(f"{route}: {reason}" for route, reason in unseen.items())
        advice = "the counts of `syncs` and of runs lack these, and say so"
        return Finding(name, f"{len(unseen)} of {len(report.routes)} routes not seen: {text}", State.NOTE, advice)
    return Finding(name, f"all {len(report.routes)} routes and facts can be seen")


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version; what follows them (rc1, +nv) does not count."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def system() -> Finding:
    """The operating system: only Linux offers everything that is examined."""
    text = platform.platform()
    if platform.system() == "Linux":
        return Finding("system", text)
    return Finding("system", f"{text}: affinity, quota, load and steal are unknown there", State.NOTE)
