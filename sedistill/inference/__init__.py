"""Saved models at work: on arrays and files, as a stream, in other runtimes."""
