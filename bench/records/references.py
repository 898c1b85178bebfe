"""The reference records of gates: one for each machine, pair of loops and settings."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.run.record import Record
from loop_bench.records import change
from loop_bench.records.change import differences, differing_loops

_NAME = "reference-*.json"


def accept(record: Record, results: Path) -> Path:
    """Makes a record the reference for its machine, loops and settings, replacing an earlier one.

    Raises:
        UsageError: the folder cannot be written.
    """
    return record.write_as(path(record, results))


def path(record: Record, results: Path) -> Path:
    """The path, in a folder of results, of the reference for records with this machine, loops and settings."""
    settings, machine = record.settings, [record.environment.get(key) for key in ("gpus", "cpu", "cores")]
    kind = [settings.before, settings.after, settings.batches, settings.options, machine, change.cpu(record)]
    if settings.homes:
        kind.append({arm: home.model_dump(exclude={"revision"}) for arm, home in settings.homes.items()})
    if settings.machines > 1:
        kind.append(settings.machines)
    digest = hashlib.sha256(json.dumps(kind, sort_keys=True).encode()).hexdigest()[:6]
    return results / machine_name(record) / f"reference-{settings.preset}-{digest}.json"


def find(record: Record, where: Path) -> Record:
    """Finds the reference for a record.

    Args:
        record: the record to be judged.
        where: a record's file, or a folder of results with references in it.

    Raises:
        UsageError: there is no such file or folder.
        InvalidRecordError: the file is no record, or the folder has no reference that is comparable with the record.
    """
    if not where.is_dir():
        return Record.read(where)
    unsuitable = []
    for path in sorted(where.rglob(_NAME)):
        try:
            reference = Record.read(path)
        except InvalidRecordError as error:  # of another machine or an older version; no matter if another one suits
            unsuitable.append(str(error))
            continue
        differing = differing_loops(record, reference) + differences(record, reference)
        if not differing:
            return reference
        unsuitable.append(f"{path.relative_to(where)} differs in {'; '.join(differing)}")
    why = f" ({'. '.join(unsuitable[:3])})" if unsuitable else ""
    raise InvalidRecordError(
        f"reference {where}: the folder has no comparable reference{why}; loop-bench accept RECORD makes one"
    )


def machine_name(record: Record) -> str:
    """The name of a machine's folder: `nvidia-h100-80gb-hbm3`, or `amd-epyc-2-cores`.

    Raises:
        UsageError: the record does not describe its machine.
    """
    machine = record.environment
    try:
        text = " ".join(machine["gpus"]) or f"{machine['cpu']} {machine['cores']} cores"
    except (KeyError, TypeError):
        raise UsageError("the record does not describe the machine it was made on") from None
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
