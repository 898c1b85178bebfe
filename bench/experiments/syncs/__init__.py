"""How often a loop makes the host wait for the device."""
