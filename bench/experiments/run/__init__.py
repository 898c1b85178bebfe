"""The comparison of two loops in one run: measurement, record, figures, verdict and report."""
