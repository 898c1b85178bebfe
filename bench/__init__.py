"""A harness that compares two TensorFlow training loops: speed, host syncs, survival."""
