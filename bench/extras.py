"""The extras that this package is installed with, and the one line for who uses a part of it without its extra."""

from __future__ import annotations

import importlib.util

from loop_bench.errors import UsageError

EXTRAS = {
    "compare": {
        "pandas": "pandas",
        "scipy": "scipy",
        "matplotlib": "matplotlib",
        "pydantic": "pydantic",
        "jinja2": "jinja2",
        "psutil": "psutil",
        "py-cpuinfo2": "cpuinfo",
        "nvidia-ml-py": "pynvml",
        "pytest": "pytest",
        "pytest-benchmark": "pytest_benchmark",
    },
    "history": {"ruptures": "ruptures"},
    "cluster": {"distributed": "distributed"},
    "seqgan": {"nltk": "nltk", "pandas": "pandas", "py-cpuinfo2": "cpuinfo"},
    "tensorflow": {"tensorflow": "tensorflow"},
}
"""By extra, the distributions that it brings, each with the module that is imported of it; pyproject.toml has the same
with their versions."""


class MissingExtraError(UsageError, ImportError):
    """A part of this package is used without what it needs; also an ImportError, which importing code expects."""


def missing(extra: str) -> list[str]:
    """The distributions of an extra that cannot be imported, by their names."""
    return [name for name, module in EXTRAS[extra].items() if not _is_there(module)]


def require(*extras: str) -> None:
    """Sees to it that what these extras bring can be imported, before anything is begun that would need it.

    Raises:
        MissingExtraError: it cannot; one line that says what is missing, and which `pip install` brings it.
    """
    lacking = {extra: brings for extra in extras if (brings := missing(extra))}
    if not lacking:
        return
    names = ", ".join(dict.fromkeys(name for each in lacking.values() for name in each))
    own = " (any other build of TensorFlow from 2.16 on will do)" if "tensorflow" in lacking else ""
    raise MissingExtraError(f"not installed: {names}; pip install 'loop-bench[{','.join(lacking)}]' brings it{own}")


def _is_there(module: str) -> bool:
    try:
        found = importlib.util.find_spec(module)
    except ValueError:  # imported, and without a spec
        return True
    return found is not None and found.origin is not None  # a mere folder of that name is a namespace package
