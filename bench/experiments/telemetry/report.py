"""What each loop makes of the machine, as rows of the comparison; nothing that was not measured of either."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from bench.experiments.telemetry.figures import DeviceFigures, Range, Throttled, Utilisation
from bench.experiments.telemetry.record import CopyKind, Telemetry, TracedStretch
from bench.report.report import Number
from bench.report.wording import NOT_MEASURED

Row = tuple[str, str, str, str]

_Found = TypeVar("_Found")

_COPIES: dict[CopyKind, str] = {"H2D": "to the device", "D2H": "from the device", "D2D": "within the device"}

_OF_PROCESS: dict[str, Callable[[Utilisation], str]] = {
    "ms/batch of the stretch that was watched": lambda found: f"{found.ms_per_batch:.2f}",
    "CPUs busy, mean": lambda found: f"{found.cpus:.2f}",
    "CPU time of all threads, ms/batch": lambda found: f"{found.cpu_ms_per_batch:.2f}",
    "peak resident memory of the process, MiB": lambda found: f"{found.peak_resident:.0f}",
}

_OF_DEVICE: dict[str, Callable[[DeviceFigures], str]] = {
    "share of NVML's window with any kernel running, mean (5% to 95% of samples)": lambda found: _range(
        found.utilisation, "{:.0%}"
    ),
    "power, W, mean (5% to 95% of samples)": lambda found: _range(found.watts, "{:.0f}"),
    "energy, J/batch": lambda found: _number(found.joules_per_batch, "{:.3g}"),
    "SM clock, MHz, mean (5% to 95% of samples)": lambda found: _range(found.sm_mhz, "{:.0f}"),
    "throttled, share of samples": lambda found: _throttled(found.throttled),
    "peak device memory, handed out by TensorFlow's allocator, MiB": lambda found: f"{found.tf_peak:.0f}",
    "peak device memory, NVML, of the loop's process, MiB": lambda found: _number(found.nvml_process_peak, "{:.0f}"),
    "peak device memory, NVML, of all processes, MiB (before the loop's began)": lambda found: _beside(
        found.nvml_peak, found.nvml_before
    ),
}


def rows(before: Telemetry | None, after: Telemetry | None) -> list[Row]:
    """A row for each thing that is known of either loop.

    Args:
        before: of that loop; None when it was not watched.
        after: of the other.

    Returns:
        Texts: metric with its unit, before, after, change; the last is empty, for one stretch of each has no interval.
    """
    watched = [before, after]
    found = [None if each is None else Utilisation.of(each) for each in watched]
    devices = [None if each is None else each.device for each in found]
    traces = [None if each is None else each.trace for each in found]
    titled = [
        *(_row(title, found, say) for title, say in _OF_PROCESS.items()),
        *(_row(title, devices, say) for title, say in _OF_DEVICE.items()),
        _row("device busy, share of a traced stretch", traces, _busy),
        *(
            _row(f"copies {where} a batch, traced", traces, functools.partial(_copies, kind=kind))
            for kind, where in _COPIES.items()
        ),
        _row("watched for utilisation: what went wrong", watched, _wrong, otherwise="nothing"),
    ]
    return [row for row in titled if row]


def figures(name: str, telemetry: Telemetry | None) -> Iterator[Number | None]:
    """The same as numbers, of one loop.

    Args:
        name: of the loop.
        telemetry: of it; None when it was not watched.
    """
    found = Utilisation.of(telemetry) if telemetry else None
    if found is None:
        return
    yield Number.plain("CPUs busy", name, "CPUs", found.cpus)
    yield Number.plain("CPU time of all threads", name, "ms a batch", found.cpu_ms_per_batch)
    yield Number.plain("peak resident memory", name, "MiB", found.peak_resident)
    if device := found.device:
        yield from _spread("kernels running, share of NVML's window", name, "share", device.utilisation)
        yield from _spread("power", name, "W", device.watts)
        yield Number.plain("energy", name, "J a batch", device.joules_per_batch)
        yield from _spread("SM clock", name, "MHz", device.sm_mhz)
        throttled = device.throttled.share if device.throttled else None
        yield Number.plain("throttled", name, "share of samples", throttled)
        yield Number.plain("peak memory of TensorFlow's allocator", name, "MiB", device.tf_peak)
        yield Number.plain("peak memory of the process, NVML", name, "MiB", device.nvml_process_peak)
        yield Number.plain("peak memory of all processes, NVML", name, "MiB", device.nvml_peak)
    if trace := found.trace:
        yield Number.plain("device busy, traced", name, "share of time", trace.busy_share)
        for kind, where in _COPIES.items():
            for value, unit in zip(trace.copied(kind), ("a batch", "bytes a batch", "ms a batch"), strict=True):
                yield Number.plain(f"copies {where}, traced", name, unit, value)


def _spread(figure: str, name: str, unit: str, found: Range | None) -> list[Number]:
    """A mean between the 5th and the 95th percentile of the samples."""
    return [] if found is None else [Number(figure, name, unit, *found, "5% to 95%")]


def _row(
    title: str, found: Sequence[_Found | None], say: Callable[[_Found], str], otherwise: str = NOT_MEASURED
) -> Row | None:
    """A row; None where there is nothing to be said of either loop."""
    texts = ["" if each is None else say(each) for each in found]
    return (title, texts[0] or otherwise, texts[1] or otherwise, "") if any(texts) else None


def _range(found: Range | None, form: str) -> str:
    return "" if found is None else f"{form} ({form} to {form})".format(*found)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _beside(value: float | None, before: float | None) -> str:
    return "" if value is None else f"{value:.0f}{_number(before, ' ({:.0f})')}"


def _throttled(found: Throttled | None) -> str:
    if found is None:
        return ""
    reasons = ", ".join(f"{reason} {share:.0%}" for reason, share in found.reasons.items())
    return f"{found.share:.0%}{f' ({reasons})' if reasons else ''}"


def _busy(trace: TracedStretch) -> str:
    return f"{trace.busy_share:.1%} (at {trace.ms_per_batch:.2f} ms/batch while traced)"


def _copies(trace: TracedStretch, kind: CopyKind) -> str:
    count, nbytes, milliseconds = trace.copied(kind)
    return f"{count:.3g} ({nbytes:.3g} bytes, {milliseconds:.2g} ms)" if count else "none"


def _wrong(telemetry: Telemetry) -> str:
    return "; ".join(
        filter(None, [telemetry.died, *telemetry.problems, *(telemetry.trace.problems if telemetry.trace else ())])
    )
