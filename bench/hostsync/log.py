"""What is known of a host read, and the log that holds them."""

from __future__ import annotations

import dataclasses

from bench.hostsync import waiting
from bench.hostsync.callsite import Frame
from bench.hostsync.graphs import HostOp


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """One read of a tensor by the host."""

    route: str  # how: the function or operator of the call site that reads; numpy, float, bool, asarray, mean, ...
    file: str  # the call site in the user's code
    line: int
    shape: tuple[int, ...]
    dtype: str
    nbytes: int  # of the value; 0 where it stayed on the device (a DLPack export from a GPU)
    device: str  # that the value was on: CPU:0, GPU:0, ...
    seconds: float  # that the host was blocked
    asynchronous: bool  # whether the device may still have been computing the value
    thread: str
    allowed: str | None = None  # the reason, inside hostsync.allow
    stack: tuple[Frame, ...] = ()  # innermost first; empty unless it was asked for

    @property
    def waited(self) -> float:
        """The part of `seconds` that went by before the value was ready; see `bench.hostsync.waiting`.

        To ask for it measures a device once, and drains its queue; so ask when the program is done.
        """
        return waiting.waited(self.device, self.seconds, self.nbytes) if self.asynchronous else 0.0

    @property
    def ready(self) -> bool:
        """Whether the value was there when the host asked for it."""
        return not self.waited


class Log:
    """What a recorder saw.

    Attributes:
        reads: in the order in which they ended.
        host_ops: in the graphs that were traced meanwhile, what makes the host take part in running them. How often
            they ran cannot be told from Python.
        unseen: routes that cannot be seen with this Python and TensorFlow; empty where all can.
        seconds: that the recording lasted; 0 while it goes on.
    """

    def __init__(self, unseen: tuple[str, ...] = ()) -> None:
        self.reads: list[Read] = []
        self.host_ops: list[HostOp] = []
        self.unseen = unseen
        self.seconds = 0.0
