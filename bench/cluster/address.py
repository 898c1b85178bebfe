"""Where a cluster is, as `--on` takes it."""

from __future__ import annotations

import dataclasses
import re
import socket

from loop_bench import extras
from loop_bench.errors import UsageError

LOCAL = "local"

ANSWERS = 5.0
"""Seconds in which a scheduler that is there takes a connection."""

_ADDRESS = re.compile(r"(?:(?P<protocol>tcp|tls)://)?(?P<host>\[[\da-fA-F:.]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")


@dataclasses.dataclass(frozen=True)
class Address:
    """A scheduler; or how many workers a cluster on this machine is to have."""

    text: str  # as Dask takes it; of a cluster on this machine `local:N`
    workers: int = 0  # on this machine; 0: those that the scheduler has
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address of a text: `tcp://HOST:PORT`, `tls://HOST:PORT`, `HOST:PORT` or `local:N`.

        Raises:
            UsageError: it is none of these.
        """
        kind, _, count = text.partition(":")
        if kind == LOCAL and count.isdecimal():  # a host of that name has its protocol before it
            if int(count) < 1:
                raise UsageError(f"--on {text}: a cluster on this machine has one worker at least")
            return cls(text=text, workers=int(count))
        found = _ADDRESS.fullmatch(text)
        if not found or int(found["port"]) > 65535:
            raise UsageError(
                f"--on {text!r}: must be a Dask scheduler, such as tcp://10.0.0.1:8786, or local:N for N workers on "
                "this machine"
            )
        protocol = found["protocol"] or "tcp"
        return cls(
            text=f"{protocol}://{found['host']}:{found['port']}",
            host=found["host"].strip("[]"),
            port=int(found["port"]),
        )


def check(text: str) -> None:
    """Sees to it that a cluster can be had, before anything slow is begun.

    Raises:
        UsageError: Dask is not installed, this is no address, or nothing takes a connection there.
    """
    extras.require("cluster")
    address = Address.parse(text)
    if address.workers:
        return
    try:
        socket.create_connection((address.host, address.port), timeout=ANSWERS).close()
    except OSError as error:
        raise UsageError(
            f"--on {address.text}: nothing answers there ({error.strerror or error}); "
            f"`dask scheduler --port {address.port}` on that machine starts a scheduler"
        ) from None
