"""The comparison of two loops: rounds, verdict, table."""
