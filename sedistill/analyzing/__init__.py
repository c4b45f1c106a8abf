"""What became of the patches in a training (`analyze`), and where DFKD's bands end (`draw_crossover`)."""

from sedistill.analyzing.command import analyze
from sedistill.analyzing.crossover import draw_crossover

__all__ = ["analyze", "draw_crossover"]
