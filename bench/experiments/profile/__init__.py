"""Where the time of a training loop goes: a trace of a stretch of it, and what the trace says."""
