"""What is measured: maps against the truth."""
