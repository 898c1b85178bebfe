"""What each loop makes of the machine, as rows of the comparison; nothing that was not measured of either."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.report.wording import NOT_MEASURED
from bench.telemetry.figures import DeviceFigures, Range, Throttled, Utilisation
from bench.telemetry.record import CopyKind, Telemetry, TracedStretch

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
    found = next((each for each in trace.copies if each.kind == kind), None)
    if found is None:
        return "none"
    a_batch = [each / trace.batches for each in (found.count, found.nbytes, 1e3 * found.seconds)]
    return "{:.3g} ({:.3g} bytes, {:.2g} ms)".format(*a_batch)


def _wrong(telemetry: Telemetry) -> str:
    return "; ".join(
        filter(None, [telemetry.died, *telemetry.problems, *(telemetry.trace.problems if telemetry.trace else ())])
    )
