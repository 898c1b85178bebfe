"""The experiments, one folder each; `registry` lists them, and `experiment` has their interface."""
