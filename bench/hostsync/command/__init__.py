"""`loop-bench syncs`: reports the host syncs of an unchanged program."""
