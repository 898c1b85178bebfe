"""Loops that train on several machines: the chief measures, and the workers repeat its calls."""
