"""Loops that train on several machines: the chief measures, the workers follow."""
