"""How well loops learn: their quality over the batches, from several seeds."""
