"""The convergence experiment: compares the quality of loops over the batches, from several seeds."""
