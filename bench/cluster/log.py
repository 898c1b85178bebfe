"""The log of what a user should know while trials run on a cluster."""

from __future__ import annotations

import logging

LOG = logging.getLogger("loop_bench.cluster")
"""Without a handler, Python prints its warnings to standard error."""
