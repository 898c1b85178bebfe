"""Analyses of finished records: gate, references, history, change between two, claims."""
