"""The program that an arm's process runs: what it answers is in `server.py`; nothing imports this one.

It is forked from the process of `zygote.py`, and needs NumPy and TensorFlow, of the versions that this package
supports, and of ours no more than its core.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from typing import NoReturn

from loop_bench.arms.channel import Channel
from loop_bench.arms.server import Server
from loop_bench.jobs.parent import die, die_first, die_with_parent


def main(descriptor: int) -> NoReturn:
    """Serves, and ends this process."""
    die_with_parent()
    die_first()
    faulthandler.enable(all_threads=False)  # where it crashes
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # where it hangs
    Server(Channel(descriptor)).serve()
    die()  # what the loop has started must not go on; and what TensorFlow does when Python ends can only spoil it


if __name__ == "__main__":
    # What a loop spawns (multiprocessing) would import the program that has started it, and finds nothing of ours.
    del sys.modules[__name__].__file__
    sys.modules[__name__].__spec__ = None
    main(int(sys.argv[1]))
