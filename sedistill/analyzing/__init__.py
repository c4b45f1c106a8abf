"""What became of the patches in a training: `analyze`, and the numbers, words and tables it writes."""

from sedistill.analyzing.analyze import analyze

__all__ = ["analyze"]
