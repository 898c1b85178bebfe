"""From a record to tables: the frames hold what is said, each renderer how it looks."""
