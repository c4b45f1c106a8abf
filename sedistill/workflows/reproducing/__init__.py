"""Tables of papers: train what is missing, evaluate, set ours beside theirs (`reproduce` in `command`)."""
