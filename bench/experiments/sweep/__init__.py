"""The sweep experiment: measures both loops at several sizes of the work, one axis varied at a time."""
