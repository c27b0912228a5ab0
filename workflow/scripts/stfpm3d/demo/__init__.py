"""The demo cohort: synthetic heads, rendered from the anatomy of the template."""
