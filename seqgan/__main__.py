"""Entry point of `python -m loop_bench.seqgan`."""

import sys

from loop_bench.seqgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
