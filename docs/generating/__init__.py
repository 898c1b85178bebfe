"""What docs/generate.py makes of the code: tables and texts in Markdown."""
