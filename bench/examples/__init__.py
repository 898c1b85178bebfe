"""Two pairs of loops that know nothing of the harness, as patterns for one's own."""
