"""Entry point of `python -m loop_bench`, which is `loop-bench`."""

import sys

from loop_bench.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
