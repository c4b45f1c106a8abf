"""What moves knowledge from teacher to student. Nothing here knows which network is trained.

Losses bin by bin: spectra -> bin loss (`bin_losses`, `dfkd`) -> patches -> selection -> `dispatch`.
"""

from sedistill.distill.bin_losses import (
    BinLoss,
    ComplexL1,
    ComplexL2,
    GeneralisedKL,
    MagnitudeL1,
    MagnitudeL2,
)
from sedistill.distill.dfkd import DFKDLoss

# The losses over bins by the name a recipe gives them. To be listed here is to be tested.
BIN_LOSSES: dict[str, type[BinLoss]] = {
    "l1": MagnitudeL1,
    "l2": MagnitudeL2,
    "complex_l1": ComplexL1,
    "complex_l2": ComplexL2,
    "dfkd": DFKDLoss,
    "kl_generalised": GeneralisedKL,
}
