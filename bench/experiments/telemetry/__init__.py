"""The telemetry run: resource usage of one loop in a process of its own, sampled from another process."""
