"""Whether two loops compute the same thing."""
