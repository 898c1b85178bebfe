"""Entry point of `python -m seqgan`."""

import sys

from seqgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
