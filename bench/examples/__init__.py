"""Two example pairs of loops, as patterns for your own."""
