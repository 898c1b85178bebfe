"""What was said of the change before anything was measured, held against records."""
