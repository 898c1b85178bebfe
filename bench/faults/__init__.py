"""Gradients that explode on demand, in any loop that uses a tape, and how the loop came through."""

from bench.faults.fault import Fault

__all__ = ["Fault"]
