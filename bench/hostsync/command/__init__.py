"""`loop-bench syncs`: the host syncs of a program that knows nothing of it."""
