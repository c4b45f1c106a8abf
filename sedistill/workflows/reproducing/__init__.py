"""Every table of the papers as a command: train what is missing, evaluate, set ours beside theirs."""

from sedistill.workflows.reproducing.command import reproduce

__all__ = ["reproduce"]
