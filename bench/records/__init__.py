"""Questions to records: gate, references, history, claims."""
