"""Host syncs of a loop: counts its reads of the device over a stretch of training, for the record."""
