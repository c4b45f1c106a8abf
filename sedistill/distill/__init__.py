"""What moves knowledge from a teacher to a student. Knows nothing of the networks it trains."""
