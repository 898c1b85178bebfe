"""Timing that waits for the device: clocks, rounds, when to stop, proof of work."""
