"""The profile experiment: traces a stretch of each loop, and summarises which ops take the time."""
