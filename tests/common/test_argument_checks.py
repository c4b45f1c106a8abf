"""What losses and networks refuse when they are made: each value that cannot be meant, in one sentence."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError
from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.bin_losses import ComplexL1, ComplexL2, MagnitudeL1, MagnitudeL2
from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD
from sedistill.distill.dfkd import DFKDLoss
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.frame_kl import FrameKL
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.distill.gram import GramSimilarity
from sedistill.distill.kdrl import PolicyNetwork, bounded_target, loss_weights
from sedistill.distill.layer_attention import LayerAttention
from sedistill.distill.multi_view import MultiViewAttentionTransfer
from sedistill.distill.patches import MultiScalePatches, UniformPatches
from sedistill.distill.subband import SubbandKD
from sedistill.distill.waveform import SISNRTarget, WaveformL1, WaveformL2
from sedistill.models.network_classes import NETWORKS
from sedistill.models.presets import build_model

NAN, INF = float("nan"), float("inf")
NO_NUMBERS = [NAN, INF, -INF, True, "1", "x" * 400, None, [1], {}, 1j, torch.tensor(0.5), 10**400, 10**5000]
NO_SIZES = [*NO_NUMBERS, 0, -1, 0.5, 1e30, 10**12]
NO_FLAGS = [None, 1, 0, "true", [True], NAN]
NO_NAMES = [None, 1, True, "", "nosuch", "x" * 400, ["teacher"], NAN, b"teacher", np.array(["teacher"])]
NO_OBJECTS = [1, "x", [], {}, NAN]

RATIO = torch.tensor([0.5])
PAIR = [("a", "b")]


def _target(**settings: Any) -> torch.Tensor:
    given = {"method": "A", "epochs": 2, "floor": 1.0, **settings}
    return bounded_target(RATIO, RATIO, RATIO, **given)


def _layers(**settings: Any) -> LayerAttention:
    return LayerAttention(**{"student_sizes": {"a": 2}, "teacher_sizes": {"b": 2}, **settings})


def _dispatch(**settings: Any) -> DISPatch:
    return DISPatch(**{"loss": MagnitudeL2(), **settings})


def _attention(**settings: Any) -> AttentionTransfer:
    return AttentionTransfer(**{"pairs": PAIR, **settings})


def _views(**settings: Any) -> MultiViewAttentionTransfer:
    return MultiViewAttentionTransfer(**{"pairs": PAIR, **settings})


def _gram(**settings: Any) -> GramSimilarity:
    return GramSimilarity(**{"pairs": PAIR, **settings})


NO_PAIRS = [None, 5, "ab", [], [5], ["ab"], [("a",)], [("a", 1)], [("a", "b", "c")], {"a": "b"}, [None], NAN]

# What is made, its setting, and values that it refuses.
SETTINGS: list[tuple[Callable[..., Any], str, list[Any]]] = [
    *((loss, "power", [*NO_NUMBERS, 0, -1, 17]) for loss in (MagnitudeL1, MagnitudeL2, ComplexL1, ComplexL2)),
    (UniformPatches, "size", NO_SIZES),
    (UniformPatches, "frames", NO_SIZES),
    (MultiScalePatches, "low", NO_SIZES),
    (MultiScalePatches, "high", NO_SIZES),
    (MultiScalePatches, "frames", NO_SIZES),
    (FrequencyAdapter, "scan", NO_NAMES),
    (FrequencyAdapter, "eps", [*NO_NUMBERS, -1e-9, 1e7]),
    (FrequencyAdapter, "swap_bands", NO_FLAGS),
    (FrequencyAdapter, "min_bin", [*NO_NUMBERS, -1, 0.5, 10**9]),
    (DFKDLoss, "beta", [*NO_NUMBERS, -0.1, 1.1]),
    (DFKDLoss, "adapter", [*NO_OBJECTS, None]),
    (_dispatch, "loss", [*NO_OBJECTS, None, MagnitudeL2]),
    (_dispatch, "patches", [*NO_OBJECTS, None, 20]),
    (_dispatch, "keep", [*NO_NUMBERS, 0, -0.5, 1.5]),
    (_dispatch, "score", NO_NAMES),
    (_dispatch, "target", NO_NAMES),
    (_dispatch, "adapter", NO_OBJECTS),
    (_dispatch, "score_reduction", NO_NAMES),
    (_dispatch, "normalizer", NO_NAMES),
    (_dispatch, "reduction", NO_NAMES),
    (_dispatch, "per_band", NO_FLAGS),
    (_dispatch, "gate", [one for one in NO_NAMES if one is not None]),
    (_dispatch, "rank_over", NO_NAMES),
    (_dispatch, "gap_metric", [1, "x", [], {}, NAN]),
    (_dispatch, "keep_start", [*(one for one in NO_NUMBERS if one is not None), 0, -0.5, 1.5]),
    (_dispatch, "keep_schedule", NO_NAMES),
    (_dispatch, "threshold", [one for one in NO_NUMBERS if one is not None]),
    (_dispatch, "threshold_unit", NO_NAMES),
    (_dispatch, "gate_softness", [*NO_NUMBERS, -0.1, 1.1]),
    (_dispatch, "stft", [*NO_OBJECTS, None]),
    (FrameKL, "distribution", NO_NAMES),
    (FrameKL, "temperature", [*(one for one in NO_NUMBERS if one is not None), 0, -1, 1e30]),
    (FrameKL, "target", NO_NAMES),
    (FrameKL, "stft", [*NO_OBJECTS, None]),
    *((loss, "target", NO_NAMES) for loss in (SISNRTarget, WaveformL1, WaveformL2)),
    (CleanAndNoiseKD, "weight_from", NO_NAMES),
    (SubbandKD, "target", NO_NAMES),
    (SubbandKD, "bands", [*(value for value in NO_SIZES if value != [1]), 258]),
    (SubbandKD, "bands", [[NAN], [True], ["1000"], [2000, 1000], (9000.0,), [0], [1, 2], [[1]]]),
    (SubbandKD, "bands_used", [1, "0", [], [4], [-1], [0, 0], [True], [NAN], [0.0], {0: 1}]),
    (SubbandKD, "sample_rate", [*NO_SIZES, 1]),
    (SubbandKD, "stft", [*NO_OBJECTS, None]),
    (_attention, "pairs", NO_PAIRS),
    (_attention, "map_power", [*NO_NUMBERS, 0.5, 17]),
    (_attention, "distance", NO_NAMES),
    (_attention, "reduction", NO_NAMES),
    (_attention, "interpolate_to", NO_NAMES),
    (_views, "views", [None, 1, "channel", [], ["channel", "channel"], ["x"], [1], [["channel"]], {}]),
    (_views, "tap", NO_NAMES),
    (_views, "single_view_pairs", [pairs for pairs in NO_PAIRS if pairs != []]),
    (_gram, "pairs", NO_PAIRS),
    (_gram, "gram", NO_NAMES),
    (_gram, "frames", [value for value in NO_SIZES if value is not None]),
    (_gram, "student_time_dim", [*NO_NUMBERS, 4, -5, 0.5]),
    (_gram, "teacher_time_dim", [*NO_NUMBERS, 4, -5, 0.5]),
    (_layers, "student_sizes", [None, 1, "a", {}, {"a": 0}, {"a": True}, {"a": "2"}, {"a": 10**12}]),
    (_layers, "teacher_sizes", [None, 1, "a", {}, {"a": 0}, {"a": NAN}, {"a": 1.5}, {"a": 10**12}]),
    (_layers, "width", [*NO_SIZES, 1]),
    (_layers, "frames", [value for value in NO_SIZES if value is not None]),
    (_layers, "student_time_dim", [*NO_NUMBERS, 4, -5]),
    (_layers, "teacher_time_dim", [*NO_NUMBERS, 4, -5]),
    (_layers, "seed", [*NO_NUMBERS, -1, 0.5, 10**30]),
    (Stft, "window_length", [*NO_SIZES, 1]),
    (Stft, "hop_length", [*NO_SIZES, 513]),
    (PolicyNetwork, "input_length", [*NO_SIZES, 40]),
    (lambda method: loss_weights(method, RATIO), "method", NO_NAMES),
    (_target, "method", NO_NAMES),
    (_target, "direction", NO_NAMES),
    (_target, "epochs", NO_SIZES),
    (_target, "floor", [*NO_NUMBERS, 0, -1]),
    *(
        (network, setting.name, NO_SIZES if isinstance(setting.default, int) else NO_NAMES)
        for network in NETWORKS.values()
        for setting in inspect.signature(network).parameters.values()
        if isinstance(setting.default, int | str) and not isinstance(setting.default, bool)
    ),
    *(
        (network, setting.name, NO_FLAGS)
        for network in NETWORKS.values()
        for setting in inspect.signature(network).parameters.values()
        if isinstance(setting.default, bool)
    ),
    (NETWORKS["DCCRN"], "channels", [None, 1, "8", [], [0], [1], [NAN], [True], ["8"], [10**12], [[8]]]),
]  # fmt: skip
MAY_BE_NONE_OR_NOUGHT = {"blocks", "deep_layers", "skip"}


@pytest.mark.parametrize(("make", "setting", "values"), SETTINGS)
def test_what_cannot_be_meant_is_refused_when_it_is_made(
    make: Callable[..., Any], setting: str, values: list[Any]
) -> None:
    for value in values:
        if setting in MAY_BE_NONE_OR_NOUGHT and (value is None or value == 0) and value is not False:
            continue
        with pytest.raises(UserError) as refused:
            make(**{setting: value})
        words = str(refused.value)
        assert "\n" not in words
        assert len(words) < 400


def test_all_settings_of_losses_are_tried() -> None:
    tried = {make.__name__.lower().replace("_", "") + "." + setting for make, setting, _ in SETTINGS}
    for kind in (DFKDLoss, FrameKL, SubbandKD, Stft, FrequencyAdapter, UniformPatches, MultiScalePatches):
        assert {f"{kind.__name__.lower()}.{name}" for name in inspect.signature(kind).parameters} <= tried
    assert {f"dispatch.{name}" for name in inspect.signature(DISPatch).parameters} <= tried


def test_numbers_of_numpy_are_numbers() -> None:
    assert UniformPatches(np.int64(20)) == UniformPatches(20)
    assert _dispatch(keep=np.float32(0.5)).keep == 0.5
    assert SubbandKD(bands=[np.float64(1000.0), 2000]).bin_ranges[1] == (32, 64)
    assert SubbandKD(bands=np.int64(4)).bin_ranges == SubbandKD(bands=4).bin_ranges  # type: ignore[arg-type]


def test_numbers_of_numpy_are_told_as_numbers() -> None:
    with pytest.raises(UserError, match=r"power = -1\.5 is not possible"):
        MagnitudeL2(power=np.float32(-1.5))
    with pytest.raises(UserError, match="low = 0 is not possible"):
        MultiScalePatches(np.int64(0), 40)


def test_networks_too_large_are_refused_however_they_are_made() -> None:
    for make in (
        lambda: NETWORKS["ConvTasNet"](hidden=60_000, bottleneck=60_000),
        lambda: NETWORKS["DCCRN"](channels=[65_536] * 6),
        lambda: build_model({"class": "DCCRN", "channels": [65_536] * 6}),
        lambda: NETWORKS["CleanUNet"](width=65_536, hidden=65_536),
    ):
        with pytest.raises(UserError, match="make it smaller"):
            make()
