"""The survival experiment: injects faults into the numbers of any training loop, and judges whether it survives."""

from loop_bench.experiments.survival.fault import Fault

__all__ = ["Fault"]
