"""Trained methods compared, from evaluations to a page: `compare`, and its `words` and `numbers`."""

from sedistill.comparing.compare import compare

__all__ = ["compare"]
