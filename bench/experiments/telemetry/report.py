"""Resource-usage rows of the comparison; unmeasured rows are omitted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from loop_bench.experiments.telemetry.figures import DeviceFigures, Range, Throttled, Utilisation
from loop_bench.experiments.telemetry.record import CopyKind, Telemetry, TracedStretch
from loop_bench.report.report import Number
from loop_bench.report.rows import Row, Source, Value, number, times_fewer

_memory = functools.partial(times_fewer, less="less", more="more")

_COPIES: dict[CopyKind, str] = {"H2D": "to the device", "D2H": "from the device", "D2D": "within the device"}


def rows(before: Telemetry | None, after: Telemetry | None) -> list[Row]:
    """A row for each figure that was measured of either loop.

    Args:
        before: of that loop; None when it was not watched.
        after: of the other.

    Returns:
        Rows without a change but those of peak memory: one stretch of each loop has no interval.
    """
    watched = (before, after)
    found = [None if each is None else Utilisation.of(each) for each in watched]
    devices = [None if each is None else each.device for each in found]
    traces = [None if each is None else each.trace for each in found]
    stated = [
        *_of_process(found),
        *_of_device(devices),
        *_of_trace(traces),
        Row.of("watched for utilisation: what went wrong", watched, _wrong, str, otherwise="nothing"),
    ]
    return [row for row in stated if row.is_known]


def answer(before: Telemetry | None, after: Telemetry | None) -> str:
    """Memory of both loops, and how busy the GPU was, in a few words; empty where neither was measured of both."""
    found = [None if each is None else Utilisation.of(each) for each in (before, after)]
    devices = [None if each is None else each.device for each in found]
    said = [
        _from_to("kernels running {} → {}", devices, lambda of: of.utilisation, lambda found: f"{found.mean:.0%}"),
        _from_to("peak device memory {} → {} MiB", devices, lambda of: of.tf_peak, "{:.0f}".format),
        _from_to("peak resident memory {} → {} MiB", found, lambda of: of.peak_resident, "{:.0f}".format),
    ]
    return ", ".join(filter(None, said))


def _from_to(
    said: str, found: Sequence[Source | None], value: Callable[[Source], Value | None], say: Callable[[Value], str]
) -> str:
    """A figure of both loops; empty where it is not known of both."""
    known = [value(each) for each in found if each is not None]
    texts = [say(each) for each in known if each is not None]
    return said.format(*texts) if len(texts) == len(found) else ""


def _of_process(found: Sequence[Utilisation | None]) -> list[Row]:
    return [
        Row.of("ms/batch of the stretch that was watched", found, lambda of: of.ms_per_batch, "{:.2f}".format),
        Row.of("CPUs busy, mean", found, lambda of: of.cpus, "{:.2f}".format, number("CPUs busy", "CPUs")),
        Row.of(
            "CPU time of all threads, ms/batch", found, lambda of: of.cpu_ms_per_batch, "{:.2f}".format,
            number("CPU time of all threads", "ms a batch"),
        ),
        Row.of(
            "page faults a batch (system time, ms/batch)", found, lambda of: of.page_faults,
            lambda faults: f"{faults.per_batch:.3g} ({faults.system_ms:.2f})",
            number("page faults", "a batch", of=lambda faults: faults.per_batch),
            number("system time", "ms a batch", of=lambda faults: faults.system_ms),
        ),
        Row.of(
            "peak resident memory of the process, MiB", found, lambda of: of.peak_resident, "{:.0f}".format,
            number("peak resident memory", "MiB"), brief="{:.0f}".format, change=_memory,
        ),
    ]  # fmt: skip


def _of_device(found: Sequence[DeviceFigures | None]) -> list[Row]:
    return [
        Row.of(
            "share of NVML's window with any kernel running, mean (5% to 95% of samples)", found,
            lambda of: of.utilisation, _range("{:.0%}"),
            number("kernels running, share of NVML's window", "share", Number.mean), brief=_range("{:.0%}"),
        ),
        Row.of(
            "power, W, mean (5% to 95% of samples)", found, lambda of: of.watts, _range("{:.0f}"),
            number("power", "W", Number.mean),
        ),
        Row.of(
            "energy, J/batch", found, lambda of: of.joules_per_batch, "{:.3g}".format, number("energy", "J a batch")
        ),
        Row.of(
            "SM clock, MHz, mean (5% to 95% of samples)", found, lambda of: of.sm_mhz, _range("{:.0f}"),
            number("SM clock", "MHz", Number.mean),
        ),
        Row.of(
            "throttled, share of samples", found, lambda of: of.throttled, _throttled,
            number("throttled", "share of samples", of=lambda throttled: throttled.share),
        ),
        Row.of(
            "peak device memory, handed out by TensorFlow's allocator, MiB", found, lambda of: of.tf_peak,
            "{:.0f}".format, number("peak memory of TensorFlow's allocator", "MiB"),
            brief="{:.0f}".format, change=_memory,
        ),
        Row.of(
            "peak device memory, NVML, of the loop's process, MiB", found, lambda of: of.nvml_process_peak,
            "{:.0f}".format, number("peak memory of the process, NVML", "MiB"),
        ),
        Row.of(
            "peak device memory, NVML, of all processes, MiB (before the loop's began)", found,
            lambda of: None if of.nvml_peak is None else (of.nvml_peak, of.nvml_before), _peak_and_before,
            number("peak memory of all processes, NVML", "MiB", of=lambda peaks: peaks[0]),
        ),
    ]  # fmt: skip


def _of_trace(found: Sequence[TracedStretch | None]) -> list[Row]:
    return [
        Row.of(
            "device busy, share of a traced stretch", found, lambda of: of, _busy,
            number("device busy, traced", "share of time", of=lambda trace: trace.busy_share),
        ),
        *(
            Row.of(
                f"copies {where} a batch, traced", found, functools.partial(TracedStretch.copied, kind=kind), _copies,
                number(f"copies {where}, traced", "a batch", of=lambda copied: copied[0]),
                number(f"copies {where}, traced", "bytes a batch", of=lambda copied: copied[1]),
                number(f"copies {where}, traced", "ms a batch", of=lambda copied: copied[2]),
            )
            for kind, where in _COPIES.items()
        ),
    ]  # fmt: skip


def _range(form: str) -> Callable[[Range], str]:
    return lambda found: f"{form} ({form} to {form})".format(*found)


def _peak_and_before(peaks: tuple[float, float | None]) -> str:
    peak, before = peaks
    return f"{peak:.0f}" if before is None else f"{peak:.0f} ({before:.0f})"


def _throttled(found: Throttled) -> str:
    reasons = ", ".join(f"{reason} {share:.0%}" for reason, share in found.reasons.items())
    return f"{found.share:.0%}{f' ({reasons})' if reasons else ''}"


def _busy(trace: TracedStretch) -> str:
    return f"{trace.busy_share:.1%} (at {trace.ms_per_batch:.2f} ms/batch while traced)"


def _copies(copied: tuple[float, float, float]) -> str:
    count, nbytes, milliseconds = copied
    return f"{count:.3g} ({nbytes:.3g} bytes, {milliseconds:.2g} ms)" if count else "none"


def _wrong(telemetry: Telemetry) -> str | None:
    traced = telemetry.trace.problems if telemetry.trace else ()
    return "; ".join(filter(None, [telemetry.died, *telemetry.problems, *traced])) or None
