"""DCCRN-CL: published counts, complex arithmetic, the spectrogram's inverse, latency proved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.dccrn import DCCRN, ComplexConv2d, ComplexRecurrent, _bounded_mask
from sedistill.models.layers.memory import Memory


def small(**changes: object) -> DCCRN:
    settings = {"channels": [4, 6], "lstm_units": 6, "lstm_layers": 2, "window_length": 32, "hop_length": 16}
    return DCCRN(**{**settings, **changes})  # type: ignore[arg-type]


def test_count_of_dfkd_teacher() -> None:
    model = DCCRN((64, 128, 256, 512, 512, 512), 512, 2)
    assert sum(p.numel() for p in model.parameters()) == 14_661_645


@pytest.mark.parametrize("transposed", [False, True])
def test_complex_convolution_is_four_real_ones(transposed: bool) -> None:
    torch.manual_seed(0)
    layer = ComplexConv2d(4, 6, transposed).double()
    torch.nn.init.normal_(layer.real_bias)
    torch.nn.init.normal_(layer.imag_bias)
    x = torch.randn(2, 4, 8, 5, dtype=torch.float64)
    r, i = x.chunk(2, dim=1)

    def real(part: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        if transposed:
            return F.conv_transpose2d(part, weight, bias, (2, 1), padding=(2, 0), output_padding=(1, 0))
        return F.conv2d(part, weight, bias, (2, 1), padding=(2, 0))

    wr, wi = (layer.real_weight, layer.real_bias), (layer.imag_weight, layer.imag_bias)
    expected = torch.cat([real(r, *wr) - real(i, *wi), real(r, *wi) + real(i, *wr)], dim=1)
    torch.testing.assert_close(layer(x), expected)
    assert layer(x).shape[2] == (16 if transposed else 4)


def test_complex_recurrent_layer_is_four_runs() -> None:
    torch.manual_seed(0)
    layer = ComplexRecurrent(features=6, units=4, layers=1).double()
    x = torch.randn(2, 4, 3, 7, dtype=torch.float64)  # 4 channels: 2 real, 2 imaginary; 3 bins
    r, i = (part.permute(3, 0, 1, 2).reshape(7, 2, 6) for part in x.chunk(2, dim=1))
    real = layer.project_real(layer.real[0](r)[0] - layer.imag[0](i)[0])
    imag = layer.project_imag(layer.real[0](i)[0] + layer.imag[0](r)[0])
    expected = torch.cat([part.reshape(7, 2, 2, 3).permute(1, 2, 3, 0) for part in (real, imag)], dim=1)
    torch.testing.assert_close(layer(x, Memory()), expected)


def test_mask_bounds_the_magnitude_and_keeps_the_phase() -> None:
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64)
    wanted = torch.complex(x[:, 0], x[:, 1])
    mask = torch.complex(*_bounded_mask(x).unbind(1))
    torch.testing.assert_close(
        mask, torch.polar(torch.tanh(wanted.abs()), wanted.angle()), atol=1e-7, rtol=1e-6
    )
    assert mask.abs().max() < 1


def test_mask_by_hand_and_at_zero() -> None:
    x = torch.tensor([[3.0, 0.0], [4.0, 0.0]]).reshape(1, 2, 2, 1).requires_grad_()  # 3 + 4j and 0
    mask = torch.complex(*_bounded_mask(x).unbind(1))
    assert mask[0, 0, 0].item() == pytest.approx(0.999909 * (0.6 + 0.8j), abs=1e-5)
    assert mask[0, 1, 0].item() == 0
    mask.abs().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@given(length=st.integers(1, 300), parts=st.sampled_from([2, 4]))
def test_a_mask_of_one_gives_the_clip_back_without_its_mean(length: int, parts: int) -> None:
    """What the frames are made of, and that they come back where they were; the DC bin does not pass."""
    model = small(hop_length=32 // parts).double().eval()
    x = torch.randn(2, length, dtype=torch.float64)
    one = torch.tensor([1.0, 0.0]).expand(16, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "mask", lambda frames, _: F.pad(one, (0, 0, 1, 0)).expand_as(frames))
        found = model(x)
    hop, window = 32 // parts, torch.hann_window(32, dtype=torch.float64)
    padded = F.pad(x, (32 - hop, 64))
    wanted, weight = torch.zeros_like(padded), torch.zeros_like(padded)
    for start in range(0, padded.shape[1] - 31, hop):
        frame = padded[:, start : start + 32] * window
        wanted[:, start : start + 32] += window * (frame - frame.mean(dim=1, keepdim=True))
        weight[:, start : start + 32] += window**2
    inside = slice(32 - hop, 32 - hop + length)
    torch.testing.assert_close(found, wanted[:, inside] / weight[:, inside], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("hop_length", [8, 16])
def test_latency_by_nan(hop_length: int) -> None:
    """NaN in the future reaches no output earlier than the stated latency, and reaches that one."""
    model = small(hop_length=hop_length).eval()
    assert model.latency_samples == 32 + 2 * hop_length
    # an output at the start of a hop waits longest
    first_reached = 10 * hop_length
    nan_start = first_reached + model.latency_samples - 1
    noisy = torch.randn(1, 600)
    noisy[:, nan_start:] = float("nan")
    reached = model(noisy).isnan()[0].nonzero()
    assert reached[0].item() == first_reached
    for nan_start in range(200, 200 + 2 * hop_length):
        noisy = torch.randn(1, 600)
        noisy[:, nan_start:] = float("nan")
        assert model(noisy).isnan()[0].nonzero()[0].item() >= nan_start - model.latency_samples + 1


def test_not_causal_beyond_its_window() -> None:
    model = small().eval()
    with torch.no_grad():
        noisy = torch.randn(1, 600)
        changed = noisy.clone()
        changed[:, 300:] += 1
        first = (model(noisy) != model(changed))[0].nonzero()[0].item()
    assert not model.causal
    assert first < 300 - 32 + 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"channels": [4, 5]}, "channels = 5"),
        ({"channels": []}, "channels = "),
        ({"channels": 8}, "channels = 8"),
        ({"lstm_units": 7}, "lstm_units = 7"),
        ({"lstm_layers": 0}, "lstm_layers = 0"),
        ({"hop_length": 12}, "hop_length = 12"),
        ({"hop_length": 32}, "hop_length = 32"),
        ({"channels": [2] * 6}, "window_length = 32"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        small(**wrong)
