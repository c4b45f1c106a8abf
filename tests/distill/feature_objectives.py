"""Every objective on features, and activations for them."""

import torch
from torch import Tensor

from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.gram import GramSimilarity
from sedistill.distill.layer_attention import LayerAttention
from sedistill.distill.multi_view import MultiViewAttentionTransfer

PAIRS = [("a", "x"), ("b", "y"), ("b", "z")]
LAYERS = [("encoder.2", "encoder.2"), ("decoder.2", "decoder.3")]
STUDENT_SIZES, TEACHER_SIZES = {"a": (4, 9), "b": (3, 7)}, {"x": (5, 12), "y": (6, 7), "z": (2, 5)}

# To be listed here is to be tested.
EVERY_FEATURE_OBJECTIVE = [
    AttentionTransfer(PAIRS),
    AttentionTransfer(PAIRS, map_power=1.5, interpolate_to="teacher"),
    AttentionTransfer(PAIRS, distance="l1", reduction="sum"),
    AttentionTransfer(PAIRS, distance="l2"),
    AttentionTransfer(PAIRS, distance="l2", reduction="sum"),
    AttentionTransfer(PAIRS, distance="mse"),
    MultiViewAttentionTransfer(LAYERS),
    MultiViewAttentionTransfer(LAYERS, views=["local"], tap="after", single_view_pairs=[("a", "x")]),
    GramSimilarity(PAIRS),
    GramSimilarity(PAIRS, frames=4),
    GramSimilarity(PAIRS, gram="batch"),
    LayerAttention({"a": 4, "b": 3}, {"x": 5, "y": 6, "z": 2}, width=8),
    LayerAttention({"a": 4, "b": 3}, {"x": 5, "y": 6, "z": 2}, width=8, frames=4),
]
NAMES = [f"{number}-{type(objective).__name__}" for number, objective in enumerate(EVERY_FEATURE_OBJECTIVE)]


def some_features(
    objective: object, batch: int = 3, alike: bool = False, seed: int = 0
) -> dict[str, dict[str, Tensor]]:
    """Activations of both networks, not negative as behind a ReLU; `alike`: of equal shapes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(names: tuple[str, ...], sizes: dict[str, tuple[int, int]]) -> dict[str, Tensor]:
        shapes = [(4, 9) if alike else sizes.get(name, (4, 9)) for name in names]
        return {
            name: torch.rand(batch, *shape, generator=generator) + 0.1
            for name, shape in zip(names, shapes, strict=True)
        }

    return {
        "student_features": draw(objective.student_taps, STUDENT_SIZES),  # type: ignore[attr-defined]
        "teacher_features": draw(objective.teacher_taps, TEACHER_SIZES),  # type: ignore[attr-defined]
    }


def changed(
    features: dict[str, dict[str, Tensor]], whose: str, change: object
) -> dict[str, dict[str, Tensor]]:
    """The same with `change` applied to each activation of the "student" or the "teacher"."""
    key = f"{whose}_features"
    return features | {key: {name: change(values) for name, values in features[key].items()}}  # type: ignore[operator]
