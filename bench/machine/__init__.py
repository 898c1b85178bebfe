"""The machine: what it is, what it has, how its memory is used."""
