"""The ladder: what each change between two loops brings by itself."""
