"""Training: one typed configuration, a run directory, and every method of the table."""
