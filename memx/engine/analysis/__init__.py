"""What extractions cost: figures, what they mean, and what to expect of the next one."""
