"""The ladder experiment: measures what each change between two loops contributes."""
