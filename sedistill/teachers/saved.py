"""A saved model as a teacher."""

from pathlib import Path

from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum
from sedistill.models.saving import load_model, model_hash, settings_hash


class SavedTeacher(nn.Module):
    """A saved model, frozen and in eval mode; a `Teacher`. Its networks make up for their own latency.

    Raises UserError for anything that is not a whole saved model of finite weights.
    """

    latency = 0

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.network = load_model(place).eval().requires_grad_(False)
        for name, weight in self.network.state_dict().items():
            if not bool(weight.isfinite().all()):
                raise UserError(
                    f"the teacher {place} cannot teach: its weight {name} is not finite; train it again or "
                    "name another one."
                )
        self.name, self.hash = str(place), model_hash(self.network)
        if self.network.preset is None:  # the shapes of a preset's weights tell its settings
            self.hash = facts_checksum({"weights": self.hash, "network": settings_hash(self.network.card)})
        self.sample_rate = self.network.sample_rate
        self.output_gain = float(self.network.output_gain)

    def forward(self, noisy: Tensor) -> Tensor:
        return self.network(noisy)
