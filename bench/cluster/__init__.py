"""Trials on a cluster of Dask: where it is, what its workers must be, what runs there, and what gathers from it."""
