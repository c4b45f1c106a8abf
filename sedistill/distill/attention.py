"""Attention transfer: where in time a layer is active, compared between student and teacher."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from sedistill.distill.feature_objective import MisfitError, PairedFeatures, stretched

SILENT_NORM = 1e-12  # a map of a smaller norm is not scaled up to 1; a map of zeros stays zeros


@dataclass(frozen=True)
class AttentionTransfer(PairedFeatures):
    """Distance of attention maps, summed over pairs (MV-AT 2022, equations 1, 2; Zagoruyko & Komodakis 2017).

        kd = AttentionTransfer([("encoder.3", "encoder.3"), ("encoder.3", "encoder.4")])
        loss = kd(student_features=student_taps.take(), teacher_features=teacher_taps.take())

    The map of an activation A (B, C, t) is F = sum over channels of |A|^map_power, (B, t), brought to unit l2
    norm over time: Q = F / max(||F||, 1e-12). So the networks may differ in channels and in level, and no
    parameters are needed. Activations (B, C, ...) of more dimensions are compared over all of them.

    pairs: (student's module, teacher's module), whose outputs must begin with (batch, channels).
    map_power: from 1 to 16.
    distance: "l1" or "l2" (p = 1 or 2 in equation 2), or "mse" (the square of "l2", as in much public code).
    reduction: how the p-th powers of the difference go over time before the p-th root is drawn: "sum" gives
        the norms that equation 2 prints, "mean" the mean size and the root of the mean square. So l1 and l2
        of one reduction are on one footing. The sum of l1 grows with the square root of t, which without a
        weight would outweigh most enhancement losses; the code that the maps come from averages.
    interpolate_to: whose number of frames is used where they differ; the other's map is interpolated
        linearly before it is brought to unit norm.

    Raises UserError for impossible settings, and for maps of different shapes that are not over time alone.

    Maps (1, 0) and (0.6, 0.8) of two frames differ by 0.4 and 0.8:

    >>> import torch
    >>> student, teacher = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[3.0, 4.0]]])
    >>> AttentionTransfer([("", "")], map_power=1).compare(student, teacher)
    tensor([0.6000])
    """

    map_power: Annotated[float, Field(ge=1, le=16, description="Exponent of the activations in a map.")] = 2.0
    distance: Annotated[Literal["l1", "l2", "mse"], Field(description="Between two maps.")] = "l1"
    reduction: Annotated[
        Literal["mean", "sum"],
        Field(description="Over time, of |.|^p before its root; sum gives the norms of equation 2."),
    ] = "mean"
    interpolate_to: Annotated[Literal["student", "teacher"], Field(description="Whose frames are kept.")] = (
        "student"
    )

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The distance in each clip, (B,), between activations (B, C, ...)."""
        ours, theirs = self._map(student), self._map(teacher)
        if ours.shape != theirs.shape:
            ours, theirs = self._of_one_length(ours, theirs)
        difference = _unit_norm(ours.flatten(1)) - _unit_norm(theirs.flatten(1))
        if self.distance == "l2":
            norm = difference.norm(dim=1)  # whose gradient at 0 is 0, unlike that of a root of a mean
            return norm if self.reduction == "sum" else norm / difference.shape[1] ** 0.5
        values = difference.abs() if self.distance == "l1" else difference.square()
        return values.mean(dim=1) if self.reduction == "mean" else values.sum(dim=1)

    def _map(self, values: Tensor) -> Tensor:
        powers = values.square() if self.map_power == 2 else values.abs() ** self.map_power
        return powers.sum(dim=1)

    def _of_one_length(self, ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
        if ours.ndim != 2 or theirs.ndim != 2:
            raise MisfitError(
                f"their maps {tuple(ours.shape[1:])} and {tuple(theirs.shape[1:])} differ, and only maps "
                "over time alone can be interpolated; pair layers of one resolution."
            )
        if self.interpolate_to == "student":
            return ours, stretched(theirs[:, None], ours.shape[1])[:, 0]
        return stretched(ours[:, None], theirs.shape[1])[:, 0], theirs


def _unit_norm(maps: Tensor) -> Tensor:
    return functional.normalize(maps, dim=1, eps=SILENT_NORM)
