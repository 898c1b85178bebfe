"""From a record to tables: a report holds what is said, each renderer how it looks."""
