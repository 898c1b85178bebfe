"""TensorFlow looked into in a process of its own: `python -m loop_bench.doctor.tensorflow_process PIPE MEASURE`.

An import that ends the process (a build for another processor), or that writes notes, ends and disturbs that one alone.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from loop_bench.failure import error_line


@dataclasses.dataclass(frozen=True)
class Device:
    """A device that TensorFlow sees."""

    kind: str  # CPU or GPU
    name: str  # of a GPU, what it is
    problem: str = ""  # why it does not compute; empty when it does


@dataclasses.dataclass(frozen=True)
class TensorFlow:
    """What a TensorFlow says of itself."""

    version: str
    distributions: tuple[str, ...]  # that install a module of this name
    keras: str  # which one `tf.keras` is, with its version
    keras_error: str  # why there is none
    cuda: bool  # whether it is built with CUDA
    devices: tuple[Device, ...]
    routes: dict[str, str]  # by route of a host sync, why it is not seen; empty when it is
    routes_error: str  # why none is


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the process has said until its end."""

    tensorflow: TensorFlow | str  # or why there is nothing, as a line
    null_arm: dict[str, Any] | str  # fields of a NullArm, or why it was not measured


def ask(measure: bool, tell: Callable[[float], None] = lambda share: None, program: str = __name__) -> Answers:
    """Starts the process and hears it to its end.

    Args:
        measure: whether the null arm is to be timed as well.
        tell: is told the share of it that is done, from 0 to 1; 0 when it begins.
        program: the module to run.
    """
    said: dict[str, Any] = {}
    hears, says = os.pipe()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as notes:
        path = os.pathsep.join(filter(None, sys.path))  # what can be imported here can be there
        process = subprocess.Popen(
            [sys.executable, "-m", program, str(says), str(int(measure))],
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[says],
            stdin=subprocess.DEVNULL,
            stdout=notes,
            stderr=notes,
        )
        os.close(says)
        try:
            with os.fdopen(hears, encoding="utf-8") as lines:
                for line in lines:
                    name, value = json.loads(line)
                    said[name] = value
                    if name == "share":
                        tell(value)
            code = process.wait()
        finally:
            process.kill()  # when this one is interrupted
            process.wait()
        notes.seek(0)
        ended = _how_it_ended(code, notes.read())
    found, null_arm = said.get("tensorflow", f"importing it {ended}"), said.get("null_arm", ended)
    return Answers(_read(found) if isinstance(found, dict) else found, null_arm if measure else "left out")


def _read(found: dict[str, Any]) -> TensorFlow:
    devices = tuple(Device(**each) for each in found["devices"])
    return TensorFlow(**{**found, "devices": devices, "distributions": tuple(found["distributions"])})


def _how_it_ended(code: int, notes: str) -> str:
    lines = [line.strip() for line in notes.splitlines() if line.strip()]
    by = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
    return f"ended the process with {by}{f': {lines[-1]}' if lines else ''}"


# In the process


def main(arguments: list[str]) -> None:
    """Says what it finds, a line of JSON each, into the pipe with the given number."""
    pipe, measure = int(arguments[0]), arguments[1] == "1"

    def say(name: str, value: Any) -> None:
        os.write(pipe, (json.dumps([name, value]) + "\n").encode())

    try:
        import tensorflow as tf

        found = look(tf)
    except Exception as error:
        say("tensorflow", f"importing it failed with {root(error)}")
        return
    say("tensorflow", dataclasses.asdict(found))
    if measure:
        from loop_bench.doctor import null_arm

        say("share", 0.0)
        say("null_arm", dataclasses.asdict(null_arm.measure(tell=lambda share: say("share", share))))


def look(tf: Any) -> TensorFlow:
    """What TensorFlow says of itself; starts its devices."""
    keras, keras_error = _try(lambda: _keras(tf))
    routes, routes_error = _try(_routes)
    return TensorFlow(
        version=tf.__version__,
        distributions=tuple(sorted({*importlib.metadata.packages_distributions().get("tensorflow", ())})),
        keras=keras or "",
        keras_error=keras_error,
        cuda=bool(tf.test.is_built_with_cuda()),
        devices=_devices(tf),
        routes=routes or {},
        routes_error=routes_error,
    )


def _try(ask: Callable[[], Any]) -> tuple[Any, str]:
    try:
        return ask(), ""
    except Exception as error:
        return None, root(error)


def _keras(tf: Any) -> str:
    package = tf.keras.Model.__module__.partition(".")[0]  # keras or tf_keras, whose `tf.keras` has no version
    version = importlib.import_module(package).__version__
    return f"tf_keras {version}" if package == "tf_keras" else str(version)


def _routes() -> dict[str, str]:
    from loop_bench import hostsync

    return dict(hostsync.capabilities())


def _devices(tf: Any) -> tuple[Device, ...]:
    from loop_bench.machine import devices

    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # and not all memory, of which others have some
    found = []
    for kind in ("CPU", "GPU"):
        for number, device in enumerate(tf.config.list_physical_devices(kind)):
            details = tf.config.experimental.get_device_details(device) if kind == "GPU" else {}
            problem = ""
            try:
                devices.multiply(kind, number)
            except devices.DeviceError as error:
                problem = str(error)
            found.append(Device(kind, details.get("device_name", kind), problem))
    return tuple(found)


def root(error: BaseException) -> str:
    """What an error began with, as a line: an import's own message is often a traceback of the one before."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error_line(error)


if __name__ == "__main__":
    main(sys.argv[1:])
