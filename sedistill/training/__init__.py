"""One training loop for plain and distilled networks."""
