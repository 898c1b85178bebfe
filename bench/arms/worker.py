"""The program that an arm's process runs: what it answers is in `server.py`; nothing imports this one.

    LAUNCH loop_bench.arms.worker DESCRIPTOR

It needs NumPy and TensorFlow, of the versions that this package supports, and of ours no more than its core.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import signal
import sys
from typing import NoReturn

from loop_bench.jobs.parent import SAYS, die, die_first, die_with_parent

_NEEDED = ("numpy", "tensorflow")


def missing() -> list[str]:
    """What this environment lacks; nothing is imported for it."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def main(descriptor: int) -> NoReturn:
    """Serves, and ends this process."""
    die_with_parent()
    die_first()
    faulthandler.enable(all_threads=False)  # where it crashes
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # where it hangs
    if lacking := missing():
        sys.exit(f"{SAYS}has no {' and no '.join(lacking)}")
    from loop_bench.arms.channel import Channel  # not before it is known that there is NumPy
    from loop_bench.arms.server import Server

    Server(Channel(descriptor)).serve()
    die()  # what the loop has started must not go on; and what TensorFlow does when Python ends can only spoil it


if __name__ == "__main__":
    # What a loop spawns (multiprocessing) would import the program that has started it, and finds nothing of ours.
    del sys.modules[__name__].__file__
    sys.modules[__name__].__spec__ = None
    main(int(sys.argv[1]))
