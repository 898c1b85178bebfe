"""The address of a cluster, as `--on` takes it."""

from __future__ import annotations

import dataclasses
import re
import socket

from loop_bench import extras
from loop_bench.errors import UsageError

LOCAL = "local"

ANSWERS = 5.0
"""Seconds allowed for a scheduler to take a connection."""

_ADDRESS = re.compile(r"(?:(?P<protocol>tcp|tls)://)?(?P<host>\[[\da-fA-F:.]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")


@dataclasses.dataclass(frozen=True)
class Address:
    """The address of a scheduler, or the number of workers for a cluster on this machine."""

    text: str  # as Dask takes it; `local:N` for a cluster on this machine
    workers: int = 0  # on this machine; 0: whatever the scheduler has
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parses `tcp://HOST:PORT`, `tls://HOST:PORT`, `HOST:PORT` or `local:N`.

        Raises:
            UsageError: the text has none of these forms.
        """
        kind, _, count = text.partition(":")
        if kind == LOCAL and count.isdecimal():  # a host of that name needs its protocol before it
            if int(count) < 1:
                raise UsageError(f"--on {text}: a cluster on this machine needs at least one worker")
            return cls(text=text, workers=int(count))
        match = _ADDRESS.fullmatch(text)
        if not match or int(match["port"]) > 65535:
            raise UsageError(
                f"--on {text!r}: must be a Dask scheduler, such as tcp://10.0.0.1:8786, or local:N for N workers on "
                "this machine"
            )
        protocol = match["protocol"] or "tcp"
        return cls(
            text=f"{protocol}://{match['host']}:{match['port']}",
            host=match["host"].strip("[]"),
            port=int(match["port"]),
        )


def check(text: str) -> None:
    """Checks that a cluster can be reached, before slow work begins.

    Raises:
        UsageError: Dask is not installed, the address is malformed, or nothing takes a connection there.
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
            f"`dask scheduler --port {address.port}` starts a scheduler on that machine"
        ) from None
