"""What a teacher is good and bad at, for a student, and how one would begin to distil it."""
