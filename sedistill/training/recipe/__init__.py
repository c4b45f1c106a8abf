"""What may be said in a recipe: every key, its objectives, and what follows from the size of the data."""
