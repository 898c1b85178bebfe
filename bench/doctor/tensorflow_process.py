"""Examines TensorFlow in a process of its own: `python -m loop_bench.doctor.tensorflow_process PIPE MEASURE`.

An import that kills its process (a build for another processor), or that prints notes, then affects that process only.
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
    name: str  # model of a GPU, otherwise the kind
    problem: str = ""  # why it does not compute; empty when it does


@dataclasses.dataclass(frozen=True)
class TensorFlow:
    """TensorFlow's report about itself."""

    version: str
    distributions: tuple[str, ...]  # that install a module `tensorflow`
    keras: str  # the package behind `tf.keras`, with its version
    keras_error: str  # why there is none; empty otherwise
    cuda: bool  # whether it is built with CUDA
    devices: tuple[Device, ...]
    routes: dict[str, str]  # by route of a host sync, why it cannot be recorded; empty if it can
    routes_error: str  # why none can be recorded


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the process has reported before its end."""

    tensorflow: TensorFlow | str  # or one line that says why there is none
    null_arm: dict[str, Any] | str  # fields of a NullArm, or why it was not measured


def ask(measure: bool, tell: Callable[[float], None] = lambda share: None, program: str = __name__) -> Answers:
    """Starts the process and collects its answers.

    Args:
        measure: whether to time the null arm as well.
        tell: called with the share of the measurement that is done, from 0 to 1; 0 when it begins.
        program: the module to run.
    """
    answers: dict[str, Any] = {}
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as notes:
        path = os.pathsep.join(filter(None, sys.path))  # it can import whatever this process can
        process = subprocess.Popen(
            [sys.executable, "-m", program, str(writing), str(int(measure))],
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=notes,
            stderr=notes,
        )
        os.close(writing)
        try:
            with os.fdopen(reading, encoding="utf-8") as lines:
                for line in lines:
                    name, value = json.loads(line)
                    answers[name] = value
                    if name == "share":
                        tell(value)
            code = process.wait()
        finally:
            process.kill()  # if this process is interrupted
            process.wait()
        notes.seek(0)
        ended = _how_it_ended(code, notes.read())
    report, null_arm = answers.get("tensorflow", f"importing it {ended}"), answers.get("null_arm", ended)
    return Answers(_read(report) if isinstance(report, dict) else report, null_arm if measure else "left out")


def _read(fields: dict[str, Any]) -> TensorFlow:
    devices = tuple(Device(**each) for each in fields["devices"])
    return TensorFlow(**{**fields, "devices": devices, "distributions": tuple(fields["distributions"])})


def _how_it_ended(code: int, notes: str) -> str:
    lines = [line.strip() for line in notes.splitlines() if line.strip()]
    by = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
    return f"ended the process with {by}{f': {lines[-1]}' if lines else ''}"


# In the process


def main(arguments: list[str]) -> None:
    """Writes what it finds, one line of JSON each, into the pipe with the given number."""
    pipe, measure = int(arguments[0]), arguments[1] == "1"

    def say(name: str, value: Any) -> None:
        os.write(pipe, (json.dumps([name, value]) + "\n").encode())

    try:
        import tensorflow as tf

        report = look(tf)
    except Exception as error:
        say("tensorflow", f"importing it failed with {root(error)}")
        return
    say("tensorflow", dataclasses.asdict(report))
    if measure:
        from loop_bench.doctor import null_arm

        say("share", 0.0)
        say("null_arm", dataclasses.asdict(null_arm.measure(tell=lambda share: say("share", share))))


def look(tf: Any) -> TensorFlow:
    """TensorFlow's report about itself; this starts its devices."""
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

    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # not all memory: other processes may hold some
    seen = []
    for kind in ("CPU", "GPU"):
        for number, device in enumerate(tf.config.list_physical_devices(kind)):
            details = tf.config.experimental.get_device_details(device) if kind == "GPU" else {}
            problem = ""
            try:
                devices.multiply(kind, number)
            except devices.DeviceError as error:
                problem = str(error)
            seen.append(Device(kind, details.get("device_name", kind), problem))
    return tuple(seen)


def root(error: BaseException) -> str:
    """The first cause of an error, as one line: the message of a failed import is often a whole traceback."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error_line(error)


if __name__ == "__main__":
    main(sys.argv[1:])
