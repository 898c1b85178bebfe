"""Commands, options, and the pytest session."""
