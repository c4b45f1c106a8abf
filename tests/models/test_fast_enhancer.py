"""FastEnhancer: counts, bands and layers by hand, fused rows."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.fast_enhancer import (
    WINDOW,
    FastEnhancer,
    FromBands,
    first_positions,
    rows_of_sum_one,
    triangles,
)
from sedistill.models.frames import Frames
from sedistill.models.layers.frequency_layers import ActiveRows, Entrance, Exit, neighbours
from sedistill.models.layers.fused_rows import mapped_normed_silu
from sedistill.models.layers.memory import Memory
from sedistill.models.presets import build_model

SMALL = {"channels": 8, "convolutions": 1, "blocks": 2, "units": 8, "bands": 5}
FOLDED = {"t": 21_774, "b": 91_430, "s": 194_418, "m": 491_594, "l": 1_104_610}


def lively(model: FastEnhancer) -> FastEnhancer:
    """With masks around 1, so that outputs are of the size of the input, and statistics of some batch."""
    with torch.no_grad():
        model.exit.bias.copy_(torch.tensor([0.9, 0.1]))
        model.exit.scale.mul_(3)
        for _ in range(3):
            model.train()(0.1 * torch.randn(2, 4000))
    return model.eval()


@pytest.fixture
def model() -> FastEnhancer:
    torch.manual_seed(0)
    return lively(FastEnhancer(**SMALL))


@pytest.mark.parametrize("size", FOLDED)
def test_counts_once_norms_are_folded_into_weights(size: str) -> None:
    model = build_model(f"fastenhancer-{size}")
    removed = 1  # the exit's scale
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm1d):
            removed += len(module.bias)  # of gain and bias one bias is left
        if name.endswith("weight.0"):
            removed += module.original0.numel() if hasattr(module, "original0") else 0
    magnitudes = sum(p.numel() for n, p in model.named_parameters() if n.endswith("weight.original0"))
    assert sum(p.numel() for p in model.parameters()) - removed - magnitudes == FOLDED[size]


def test_triangles_share_every_frequency() -> None:
    weights = triangles(16)
    torch.testing.assert_close(weights.sum(0), torch.ones(64))
    assert weights[0, 0] == weights[-1, -1] == 1
    assert triangles(64).equal(torch.eye(64))
    torch.testing.assert_close(rows_of_sum_one(weights).sum(1), torch.ones(16))


def test_positions_by_hand() -> None:
    positions = first_positions(4, 4)  # angles pi/4 .. pi, factors 1 and 3
    assert positions[0].tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0.5**0.5, -(0.5**0.5)], abs=1e-6)
    assert positions[3].tolist() == pytest.approx([0, 0, -1, -1], abs=1e-6)


def test_entrance_is_a_strided_convolution() -> None:
    torch.manual_seed(0)
    entrance = Entrance(2, 5).eval()
    x = torch.randn(2, 3, 16, 2)
    kernel = entrance.rows.linear.weight.reshape(5, 2, 8)
    wanted = F.conv1d(x.flatten(0, 1).mT, kernel, stride=4, padding=2)
    wanted = F.silu(F.batch_norm(wanted, torch.zeros(5), torch.ones(5))).mT.reshape(2, 3, 4, 5)
    torch.testing.assert_close(entrance(x), wanted)


def test_neighbours_are_a_convolution() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(3, 6, 4), torch.randn(5, 12)
    kernel = weight.reshape(5, 3, 4).permute(0, 2, 1)
    torch.testing.assert_close(neighbours(x) @ weight.T, F.conv1d(x.mT, kernel, padding=1).mT)


def test_exit_is_a_transposed_convolution() -> None:
    torch.manual_seed(0)
    last = Exit(5, 2)
    assert last.weight.norm().item() == pytest.approx(last.scale.item())
    x = torch.randn(2, 3, 7, 5)
    kernel = last.weight.permute(2, 1, 0)  # (inputs, outputs, 8)
    wanted = F.conv_transpose1d(x.flatten(0, 1).mT, kernel, last.bias, stride=4, padding=2)
    torch.testing.assert_close(last(x), wanted.mT.reshape(2, 3, 28, 2))


def test_from_bands_may_map_units_first() -> None:
    torch.manual_seed(0)
    layer = FromBands(8, 6, 5).eval()
    x = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(layer(x), layer.linear(layer.weights @ x) / (1 + 1e-5) ** 0.5)


@pytest.mark.parametrize("hop", [256, 160, 100, 128])
@pytest.mark.parametrize("samples", [1, 255, 1000, 1025])
def test_frames_reconstruct_without_a_division(hop: int, samples: int) -> None:
    frames, x = Frames(WINDOW, hop).double(), torch.randn(2, samples, dtype=torch.float64)
    padded = F.pad(x, (0, frames.delay + -(samples + frames.delay) % hop))
    late = frames.inverse(frames(padded, Memory()), Memory())
    assert late.shape == padded.shape
    assert (late[:, frames.delay :][:, :samples] - x).abs().max() < 1e-6


def test_half_overlap_has_one_window_for_both_ways() -> None:
    frames = Frames(WINDOW, 256)
    torch.testing.assert_close(frames.window, frames.dual)
    torch.testing.assert_close(frames.window[:256] ** 2 + frames.window[256:] ** 2, torch.ones(256))


def test_mask_of_one_gives_the_input_without_its_highest_bin() -> None:
    model = FastEnhancer(**SMALL).eval()
    with torch.no_grad():
        model.exit.scale.zero_()
        model.exit.bias.copy_(torch.tensor([1.0, 0.0]))
    noisy = 0.1 * torch.sin(torch.arange(4000) * 0.3)[None]
    assert (model(noisy) - noisy).abs().max() < 1e-4
    assert (model(0.01 * noisy) - 0.01 * noisy).abs().max() < 5e-6  # compression has a floor


def test_inverted_twice_is_the_same_and_once_the_opposite(model: FastEnhancer) -> None:
    noisy = 0.1 * torch.randn(1, 2000)
    before = model(noisy)
    model.invert()
    torch.testing.assert_close(model(noisy), -before)


def plain_rows(inputs: tuple[Tensor, ...], weight: Tensor, gain: Tensor, bias: Tensor, near: bool) -> Tensor:
    rows = (neighbours(inputs[0]) if near else torch.cat(inputs, dim=-1)) @ weight.T
    return F.silu(F.batch_norm(rows.flatten(0, 1), None, None, gain, bias, training=True)).reshape(rows.shape)


@pytest.mark.parametrize(("near", "widths"), [(True, [4]), (False, [4]), (False, [4, 3])])
@pytest.mark.parametrize("frames", [1, 700])  # 700 of these are several chunks
def test_fused_rows_are_the_three_layers(near: bool, widths: list[int], frames: int) -> None:
    torch.manual_seed(0)
    inputs = tuple(torch.randn(frames, 64, width, dtype=torch.float64) + 3 for width in widths)
    weight = torch.randn(5, (3 if near else 1) * sum(widths), dtype=torch.float64)
    gain, bias = torch.rand(2, 5, dtype=torch.float64).unbind()
    tensors = [t.requires_grad_() for t in (*inputs, weight, gain, bias)]
    output, batch = mapped_normed_silu(inputs, weight, gain, bias, 1e-5, near)
    wanted = plain_rows(inputs, weight, gain, bias, near)
    torch.testing.assert_close(output, wanted)
    grad = torch.randn_like(output)
    own, plain = torch.autograd.grad(output, tensors, grad), torch.autograd.grad(wanted, tensors, grad)
    for one, other in zip(own, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)
    rows = (neighbours(inputs[0]) if near else torch.cat(inputs, dim=-1)) @ weight.T
    torch.testing.assert_close(batch.mean, rows.mean((0, 1)))
    torch.testing.assert_close(batch.variance, rows.var((0, 1), correction=0))


def test_training_step_is_the_same_with_layers_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = FastEnhancer(**SMALL).double()
    twin, noisy = copy.deepcopy(model), 0.1 * torch.randn(2, 3000, dtype=torch.float64)
    model(noisy).square().sum().backward()
    for place in ("sedistill.models.layers.frequency_layers", "sedistill.models.layers.fast_gru"):
        monkeypatch.setattr(f"{place}.runs_own_kernels", lambda x: False)
    twin(noisy).square().sum().backward()
    for (name, one), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-12, msg=name)
    for one, other in zip(model.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(one, other)  # running statistics too


@pytest.mark.parametrize("clips", [1, 2])
def test_small_batches_leave_sensible_statistics(clips: int) -> None:
    """Trained on batches of one or two clips, the network in use is what it was in training."""
    torch.manual_seed(0)
    rows = ActiveRows(4, 4)
    for _ in range(400):
        rows(torch.randn(clips, 10, 64, 4) * (0.5 + torch.rand(1)))
    x = 1.04 * torch.randn(8, 10, 64, 4)  # the root of the mean power above
    trained = rows(x)
    with torch.no_grad():
        used = rows.eval()(x)
    assert (used - trained).square().mean() < 0.02 * trained.square().mean()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"units": 6}, "units = 6"), ({"bands": 65}, "bands = 65"), ({"bands": 1}, "bands = 1"),
     ({"hop_length": 300}, "hop_length = 300")],
)  # fmt: skip
def test_impossible_settings(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(UserError, match=named):
        FastEnhancer(**{**SMALL, **wrong})


def test_a_limit_keeps_a_share_of_the_input_outside_training(model: FastEnhancer) -> None:
    limited = FastEnhancer(**SMALL, attenuation_limit_db=20)
    limited.load_state_dict(model.state_dict())
    noisy = 0.1 * torch.randn(2, 4000)
    expected = 0.9 * model(noisy) + 0.1 * noisy
    torch.testing.assert_close(limited.eval()(noisy), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(limited.train()(noisy), copy.deepcopy(model).train()(noisy))


@pytest.mark.parametrize("limit", [0.0, -3.0, 101.0])
def test_a_limit_outside_its_bounds_is_refused(limit: float) -> None:
    with pytest.raises(UserError, match="attenuation_limit_db"):
        FastEnhancer(**SMALL, attenuation_limit_db=limit)
