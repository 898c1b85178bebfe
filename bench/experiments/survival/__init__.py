"""Numbers that go wrong on demand in any training loop, and how the loop came through."""

from loop_bench.experiments.survival.fault import Fault

__all__ = ["Fault"]
