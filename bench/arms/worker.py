"""Program of an arm's process: it answers calls with `server.py`; it is run and never imported.

It is forked from the process of `zygote.py`, and needs only NumPy and TensorFlow, in the versions that this package
supports, and the core of this package.
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
    """Answers calls until the connection ends, then ends this process."""
    die_with_parent()
    die_first()
    faulthandler.enable(all_threads=False)  # prints the stack on a crash
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # prints the stack of a hanging process
    Server(Channel(descriptor)).serve()
    die()  # also ends the loop's child processes, and skips TensorFlow's own shutdown, which may fail


if __name__ == "__main__":
    # Child processes that a loop spawns (multiprocessing) would otherwise import this program as their main module.
    del sys.modules[__name__].__file__
    sys.modules[__name__].__spec__ = None
    main(int(sys.argv[1]))
