"""The claims that were made of the change before anything was measured, tested against records."""
