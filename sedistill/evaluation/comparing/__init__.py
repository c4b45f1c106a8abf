"""Trained methods compared, from evaluations to a page: `compare`, and its `report_text`."""

from sedistill.evaluation.comparing.command import compare

__all__ = ["compare"]
