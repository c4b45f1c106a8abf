"""KDRL: a policy network decides, clip by clip, how much the teacher weighs beside the clean speech.

Source: "Speech Enhancement Using Dynamic Learning in Knowledge Distillation via Reinforcement Learning"
(2023), section III.

Every step the student learns from the clean speech (hard target) and the teacher's output (soft target),
weighted by a ratio for every clip. Two references take the same step from the same weights, one by the soft
target alone and one by the hard; whichever then comes closest to the clean speech moves the ratio its way.

D is a distance of a clip's estimate, lower is better: a mean squared error, or minus SI-SNR in dB.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.argument_checks import check_choice, check_number, check_whole

METHODS = ("A", "B", "C")
DIRECTIONS = ("intent", "printed")
SHORTEST_INPUT = 41  # samples; a shorter clip would leave nothing behind the second pooling
LONGEST_INPUT = 1_000_000  # samples, a minute: its policy network has 256 M parameters
PAPER_INPUT = 16_009  # samples, for which the paper's table gives the layers


def loss_weights(method: str, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (hard, soft) of a clip's two distances for a ratio in [0, 1], each (B,) (equation 7).

    A: (1 - ratio, ratio), from one target to the other. B: (ratio, 1), the teacher and more or less of the
    clean speech. C: (1, ratio), the clean speech and more or less of the teacher. Without gradient into the
    ratio, which learns by `policy_loss` alone. Raises UserError for another method.

    >>> loss_weights("A", torch.tensor([0.25]))
    (tensor([0.7500]), tensor([0.2500]))
    """
    check_choice("method", method, METHODS)
    ratio, one = ratio.detach(), torch.ones_like(ratio)
    return {"A": (one - ratio, ratio), "B": (ratio, one), "C": (one, ratio)}[method]


def reward(student: Tensor, soft_reference: Tensor, hard_reference: Tensor) -> Tensor:
    """What the three updated networks' distances to the clean speech say, (B,) each -> (B,) (equation 8).

    At most 0 where the soft reference is strictly best (how far the student is behind it), at least 0 where
    the hard one is, 0 where the student is or where the best two are equal; NaN where a distance is no
    finite number.

    The teacher is best, the student 2 behind; the clean target is best, the student 1 behind:

    >>> student, soft, hard = torch.tensor([5.0, 5.0]), torch.tensor([3.0, 6.0]), torch.tensor([4.0, 4.0])
    >>> reward(student, soft, hard)
    tensor([-2.,  1.])
    """
    soft_wins = (soft_reference < student) & (soft_reference < hard_reference)
    hard_wins = (hard_reference < student) & (hard_reference < soft_reference)
    lead = torch.where(hard_wins, student - hard_reference, torch.zeros_like(student))
    known = (student + soft_reference + hard_reference).isfinite()
    return torch.where(soft_wins, soft_reference - student, lead).masked_fill(~known, torch.nan)


def bounded_target(
    ratio: Tensor,
    reward: Tensor,
    distance: Tensor,
    *,
    method: str,
    epochs: int,
    floor: float,
    direction: str = "intent",
) -> Tensor:
    """The ratio that would have been better, in [0, 1] and without gradient, (B,) float64 (equations 9, 10).

    ratio + (reward / size of `distance`) / epochs, clipped (printed are min and max interchanged).

    reward: of `reward`. distance: the student's own distance to the clean speech; sizes below `floor` count
        as `floor`, since minus SI-SNR passes through 0.
    epochs: of the whole training; its inverse is the largest relative change.
    direction: "intent" moves the ratio to whichever extreme won, as the paper's text says: down with a
        positive reward in methods A and C, where the ratio weighs the teacher, and up in B. "printed" takes
        equation 9 as it stands: always up, and divided by the distance with its sign.

    In float64: near 0.5 float32 could not tell changes below 1e-7. Raises UserError for unknown names
    and impossible numbers.

    The clean target won by 1 dB at a distance of -10 dB: of 100 epochs, each moves the ratio by 0.001.

    >>> ratio, reward, distance = torch.tensor([0.5]), torch.tensor([1.0]), torch.tensor([-10.0])
    >>> bounded_target(ratio, reward, distance, method="A", epochs=100, floor=1.0)
    tensor([0.4990], dtype=torch.float64)
    """
    check_choice("method", method, METHODS)
    check_choice("direction", direction, DIRECTIONS)
    check_whole("epochs", epochs, 1, 10**9)
    check_number("floor", floor, 0, 1e9, above=True)
    ratio, reward, distance = (values.detach().double() for values in (ratio, reward, distance))
    size = distance.abs().clamp(min=floor)
    if direction == "printed":
        change = reward / torch.where(distance < 0, -size, size)
    else:
        change = (reward if method == "B" else -reward) / size
    return (ratio + change / epochs).clamp(0, 1)


def policy_loss(ratio: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of the ratios (B,) from their targets (B,); float64 scalar (equation 11).

    >>> policy_loss(torch.tensor([0.5, 0.5]), torch.tensor([0.4, 0.7]))
    tensor(0.0250, dtype=torch.float64)
    """
    return (ratio.double() - target.detach()).square().mean()


class PolicyNetwork(nn.Module):
    """From what the student misses of both targets to a ratio for every clip (section III-B, table 1).

    Forward: clean, teacher and student waveforms (B, T) -> ratios (B,) in (0, 1), about 0.5 at first. It sees
    clean - student and teacher - student as two channels (equation 2), in float32 and without gradient into
    any of them. Two convolutions of 6 taps, each with batch norm, maximum over 4 and ReLU; four linear
    layers. The table's pooling of 2 contradicts its lengths, which need 4; ReLUs between the linear layers
    are assumed.

    input_length: samples of a clip from which the size of the first linear layer follows; clips of another
        length are brought to it by averaging behind the convolutions.

    Raises UserError when it is below 41 or above a million, ValueError when the waveforms' shapes differ or
    are not (B, T).
    """

    def __init__(self, input_length: int = PAPER_INPUT) -> None:
        super().__init__()
        check_whole("policy_input_length", input_length, SHORTEST_INPUT, LONGEST_INPUT, "samples")
        self.features = nn.Sequential(
            nn.Conv1d(2, 32, 6), nn.BatchNorm1d(32), nn.MaxPool1d(4), nn.ReLU(),
            nn.Conv1d(32, 4, 6), nn.BatchNorm1d(4), nn.MaxPool1d(4), nn.ReLU(),
        )  # fmt: skip
        positions = ((input_length - 5) // 4 - 5) // 4
        self.pool = nn.AdaptiveAvgPool1d(positions)
        self.decision = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * positions, 1024), nn.ReLU(),
            nn.Linear(1024, 128), nn.ReLU(),
            nn.Linear(128, 32), nn.ReLU(),
            nn.Linear(32, 1), nn.Sigmoid(), nn.Flatten(0),
        )  # fmt: skip

    def forward(self, clean: Tensor, teacher: Tensor, student: Tensor) -> Tensor:
        if clean.ndim != 2 or not clean.shape == teacher.shape == student.shape:
            shapes = ", ".join(str(tuple(waveform.shape)) for waveform in (clean, teacher, student))
            raise ValueError(f"clean, teacher and student ({shapes}) must all be (batch, samples)")
        with torch.autocast(clean.device.type, enabled=False):
            clean, teacher, student = (waveform.detach().float() for waveform in (clean, teacher, student))
            state = torch.stack([clean - student, teacher - student], dim=1)
            state = F.pad(state, (0, max(0, SHORTEST_INPUT - state.shape[-1])))
            return self.decision(self.pool(self.features(state)))
