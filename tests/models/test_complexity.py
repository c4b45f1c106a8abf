"""Multiply-accumulates against formulas written out by hand."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from sedistill.models import complexity
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.presets import build_model


def convtasnet_macs(N: int, L: int, B: int, H: int, Sc: int, P: int, X: int, R: int, deep: int) -> int:
    frames = -(-(16_000 - L) // (L // 2)) + 1
    ends = 2 * (L * N + deep * 3 * N * N)
    block = B * H + P * H + H * (B + Sc)
    last = 0 if deep or not Sc else -H * B
    return frames * (ends + N * B + X * R * block + last + (Sc or B) * N)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("convtasnet-dispatch-teacher", (512, 16, 128, 512, 128, 3, 8, 3, 3)),
        ("convtasnet-dispatch-student", (128, 40, 128, 256, 128, 3, 7, 2, 3)),
        ("convtasnet-dfkd-tiny", (512, 16, 32, 512, 32, 3, 8, 3, 0)),
        ("convtasnet-small-teacher", (192, 40, 96, 192, 0, 3, 6, 2, 0)),
        ("convtasnet-tiny", (64, 40, 24, 48, 0, 3, 5, 2, 0)),
    ],
)
def test_convtasnet_by_formula(name: str, shape: tuple[int, ...]) -> None:
    assert macs_per_second(build_model(name)) == convtasnet_macs(*shape)


def dccrn_macs(channels: list[int], units: int, layers: int, frames: int) -> int:
    widths, macs, bins = [2, *channels], 0, 256
    for before, after in pairwise(widths):
        bins //= 2
        encoder = before * after * 10 * bins
        decoder = 2 * after * before * 10 * bins
        macs += encoder + decoder
    features, half = channels[-1] // 2 * bins, units // 2
    inputs = [features] + [half] * (layers - 1)
    lstm = sum(4 * 4 * half * (size + half) for size in inputs)  # four real passes a complex layer
    return frames * (macs + lstm + 2 * half * features)


@pytest.mark.parametrize(
    ("name", "channels", "units", "layers"),
    [
        ("dccrn-cl-dispatch-teacher", [64, 128, 256, 256, 512, 512], 256, 2),
        ("dccrn-cl-dfkd-tiny", [32, 64, 128, 256, 256, 256], 256, 2),
        ("dccrn-cl-dispatch-student", [32, 64, 128, 128, 256, 256], 128, 1),
    ],
)
def test_dccrn_by_formula(name: str, channels: list[int], units: int, layers: int) -> None:
    frames = 16_000 // 256 + 2  # 62.5 hops, and one frame more at the start
    assert macs_per_second(build_model(name)) == dccrn_macs(channels, units, layers, frames)


@pytest.mark.parametrize(("name", "filters"), [("wave-u-net-100", 24), ("wave-u-net-12", 8)])
def test_wave_u_net_by_formula(name: str, filters: int) -> None:
    length, macs = 4 * 4096, 0  # 16,000 samples are completed to a multiple of 2 ** 12
    for i in range(1, 13):
        before = filters * (i - 1) or 1
        rate = length >> (i - 1)
        macs += rate * filters * i * (15 * before + 5 * filters * (2 * i + 1))
    macs += 4 * 15 * 12 * filters * 13 * filters + length * (filters + 1)
    assert macs_per_second(build_model(name)) == macs


@pytest.mark.parametrize(
    ("name", "giga"),
    [("convtasnet-dispatch-teacher", 19.233), ("convtasnet-dispatch-student", 1.378)],
)
def test_published_counts_with_the_skip_path_on(name: str, giga: float) -> None:
    assert macs_per_second(build_model(name)) / 1e9 == pytest.approx(giga, abs=5e-4)


class Recurrent(nn.Module):
    sample_rate = 100

    def __init__(self, kind: type[nn.Module] = nn.LSTM, **settings: int | bool) -> None:
        super().__init__()
        self.layer = kind(10, 7, **settings)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, state = self.layer(x.reshape(1, 10, 10))
        for part in state if isinstance(state, tuple) else [state]:
            assert part.shape[1] == (1 if self.layer.batch_first else 10)
        return output


@pytest.mark.parametrize(
    ("settings", "steps_macs"),
    [
        ({}, 4 * 7 * (10 + 7)),
        ({"batch_first": True, "num_layers": 2}, 4 * 7 * (10 + 7) + 4 * 7 * (7 + 7)),
        ({"bidirectional": True, "num_layers": 2}, 2 * (4 * 7 * (10 + 7) + 4 * 7 * (14 + 7))),
        ({"proj_size": 3}, 4 * 7 * (10 + 3) + 7 * 3),
    ],
)
def test_lstm_by_formula(settings: dict[str, int | bool], steps_macs: int) -> None:
    assert macs_per_second(Recurrent(**settings)) == 10 * steps_macs


def test_gru_by_formula() -> None:
    model = Recurrent(nn.GRU, bidirectional=True, batch_first=True)
    assert macs_per_second(model) == 10 * 2 * 3 * 7 * (10 + 7)


def test_gtcrn_by_formula() -> None:
    bank = (3 + 2) * 192 * 64
    strided = 65 * 9 * 16 * 5 + 33 * 16 * 8 * 5 * 2 + 65 * 16 * 2 * 5  # the grouped one down and up
    block = 33 * (24 * 16 + 16 * 9 + 16 * 8) + 16 * 8 + 3 * 16 * (8 + 16)
    dual_path = 33 * (2 * 16 * 16 + 2 * 2 * 3 * 4 * (8 + 4) + 2 * 3 * 8 * (8 + 8))
    frames = 16_000 // 256 + 2
    assert macs_per_second(build_model("gtcrn")) == frames * (bank + strided + 6 * block + 2 * dual_path)


def test_the_model_itself_is_left_alone() -> None:
    model = build_model("dccrn-cl-dispatch-student").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    macs_per_second(model)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.device.type == "cpu" for p in model.parameters())


def test_parameters_leave_buffers_out() -> None:
    assert parameters(nn.BatchNorm1d(3)) == 6


def test_networks_of_one_form_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"class": "ConvTasNet", "filters": 8, "bottleneck": 4, "hidden": 6, "blocks": 2, "repeats": 1}
    counted, count = [], complexity._count
    monkeypatch.setattr(complexity, "_count", lambda model: counted.append(model) or count(model))
    monkeypatch.setattr(complexity, "_KNOWN", {})
    first, same, wider, shorter = (build_model(settings | more) for more in ({}, {}, {"hidden": 12}, {}))
    del shorter.separator.blocks[1]  # type: ignore[union-attr]
    found = [macs_per_second(model) for model in (first, same, wider, shorter)]
    assert counted == [first, wider, shorter]
    assert found[0] == found[1] < found[2]
    assert found[3] < found[0]
