"""The machine: its hardware and software, and how its memory and GPUs are used."""
