"""Arms that live elsewhere: another revision, interpreter, environment or folder, each in a process of its own."""
