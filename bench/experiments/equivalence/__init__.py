"""The equivalence check: whether two loops compute the same thing, bit for bit or up to rounding."""
