"""The extras of this package, and the one-line error for using a part of it without its extra."""

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
"""By extra, the distributions that it installs, each with the name of its module; pyproject.toml lists the same with
their versions."""


class MissingExtraError(UsageError, ImportError):
    """A part of this package is used without its extra; also an ImportError, which importing code expects."""


def missing(extra: str) -> list[str]:
    """Names of an extra's distributions that cannot be imported."""
    return [name for name, module in EXTRAS[extra].items() if not _is_there(module)]


def require(*extras: str) -> None:
    """Checks that everything in these extras can be imported, before anything that needs it begins.

    Raises:
        MissingExtraError: something is missing; the message is one line on what, and on the `pip install` that helps.
    """
    lacking = {extra: distributions for extra in extras if (distributions := missing(extra))}
    if not lacking:
        return
    names = ", ".join(dict.fromkeys(name for distributions in lacking.values() for name in distributions))
    own = " (any other build of TensorFlow from 2.16 on will do)" if "tensorflow" in lacking else ""
    raise MissingExtraError(f"not installed: {names}; pip install 'loop-bench[{','.join(lacking)}]' brings it{own}")


def _is_there(module: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:  # imported, and without a spec
        return True
    return spec is not None and spec.origin is not None  # a mere folder of that name is a namespace package
