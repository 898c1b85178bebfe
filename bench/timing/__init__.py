"""Timing that waits for the device: clocks, rounds, stopping rules, and checks that the work was done."""
