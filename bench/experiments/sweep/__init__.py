"""Cost as the work grows: both loops at several sizes, one axis varied at a time."""
