"""Teachers: where they come from, at which level they are heard, and their outputs kept on disk."""
