import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill import Stft
from sedistill.common.errors import UserError


def test_bins_and_frames_of_four_seconds() -> None:
    assert Stft()(torch.zeros(2, 64000)).shape == (2, 257, 501)


def test_a_tone_lies_in_its_bin_with_half_the_window_sum() -> None:
    tone = torch.cos(2 * math.pi * 32 / 512 * torch.arange(4096, dtype=torch.float64))
    spectrum = Stft()(tone.unsqueeze(0)).abs()
    assert spectrum[0, :, 16].argmax() == 32
    # The periodic Hann window of 512 sums to 256: not normalized, so a tone of amplitude 1 has 128.
    assert spectrum[0, 32, 16] == pytest.approx(128, abs=1e-6)
    assert spectrum[0, 31, 16] == pytest.approx(64, abs=1e-6)


def test_equals_a_dft_of_one_reflected_frame() -> None:
    wave = torch.randn(1, 700, dtype=torch.float64)
    padded = torch.cat([wave[0, 1:257].flip(0), wave[0], wave[0, -257:-1].flip(0)])
    n = torch.arange(512, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * n / 512)
    frame = padded[3 * 128 : 3 * 128 + 512] * window
    f = torch.arange(257, dtype=torch.float64).unsqueeze(1)
    angle = 2 * math.pi * f * n / 512
    expected = torch.complex((frame * angle.cos()).sum(1), -(frame * angle.sin()).sum(1))
    torch.testing.assert_close(Stft()(wave)[0, :, 3], expected)


@pytest.mark.parametrize(("size", "hop"), [(16, 4), (16, 5), (15, 4), (16, 16), (2, 1)])
def test_it_is_torch_s_and_its_gradient_that_of_finite_differences(size: int, hop: int) -> None:
    wave = torch.randn(2, 53, dtype=torch.float64, requires_grad=True)
    window = torch.hann_window(size, dtype=torch.float64)
    expected = torch.stft(wave, size, hop, window=window, return_complex=True)
    assert torch.equal(Stft(size, hop)(wave), expected)
    assert torch.autograd.gradcheck(Stft(size, hop), wave)
    weight = torch.randn(expected.shape, dtype=expected.dtype)
    found, theirs = (
        torch.autograd.grad((spectrum * weight).real.sum(), wave)[0]
        for spectrum in (Stft(size, hop)(wave), expected)
    )
    torch.testing.assert_close(found, theirs)


@given(st.integers(1, 2000))
def test_the_inverse_gives_the_waveform_back_at_any_length(length: int) -> None:
    wave = torch.randn(2, length, generator=torch.Generator().manual_seed(length), dtype=torch.float64)
    back = Stft().inverse(Stft()(wave), length)
    assert back.shape == wave.shape
    torch.testing.assert_close(back, wave)


@pytest.mark.parametrize("length", [0, 1, 3, 256])
def test_short_clips_are_padded_with_zeros_to_257_samples(length: int) -> None:
    wave = torch.randn(1, length)
    padded = torch.nn.functional.pad(wave, (0, 257 - length))
    assert torch.equal(Stft()(wave), Stft()(padded))


def test_precision() -> None:
    assert Stft()(torch.zeros(1, 600, dtype=torch.float64)).dtype == torch.complex128
    assert Stft()(torch.zeros(1, 600, dtype=torch.bfloat16)).dtype == torch.complex64
    wave = torch.randn(1, 600)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(Stft()(wave), Stft()(wave.clone()))
        assert Stft()(wave).dtype == torch.complex64


def test_a_waveform_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(batch, samples\), not \(600,\)"):
        Stft()(torch.zeros(600))


@pytest.mark.parametrize(("window", "hop"), [(512, 0), (512, -1), (512, 513), (0, 0), (-512, 128)])
def test_impossible_lengths_are_refused(window: int, hop: int) -> None:
    with pytest.raises(UserError, match="hop_length" if window > 0 else "window_length"):
        Stft(window, hop)
