"""What a loop makes of the machine: a stretch of it, in a process of its own, watched from another one."""
