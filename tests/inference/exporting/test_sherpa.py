"""The exported file in sherpa-onnx itself, offline and online, sample by sample."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sedistill.models.base import SpeechEnhancer
from sedistill.models.frames import FrameEnhancer
from sedistill.models.layers.memory import Memory
from tests.inference.exporting.conftest import network
from tests.inference.exporting.test_export import noise

sherpa = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")

Exported = Callable[[str, str], Path]
NAMES = ["two blocks", "five blocks"]


def configured(path: Path) -> object:
    slot = sherpa.OfflineSpeechDenoiserGtcrnModelConfig(model=str(path))
    return sherpa.OfflineSpeechDenoiserModelConfig(gtcrn=slot, num_threads=1, provider="cpu")


def alike(got: NDArray, wanted: NDArray) -> bool:
    return bool(np.abs(got - wanted[: len(got)]).max() < 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_online(exported: Exported, name: str) -> None:
    denoiser = sherpa.OnlineSpeechDenoiser(
        sherpa.OnlineSpeechDenoiserConfig(model=configured(exported(name, "sherpa")))
    )
    model, noisy = network(name), noise(20_077)
    with torch.no_grad():
        wanted = model.output_gain * model(torch.from_numpy(noisy)[None])[0].numpy()
    assert denoiser.frame_shift_in_samples == model.step_samples
    for _ in range(2):  # flushed, it begins anew
        pieces = [np.array(denoiser.run(piece, 16_000).samples) for piece in np.split(noisy, [3, 160, 9000])]
        got = np.concatenate([*pieces, np.array(denoiser.flush().samples)])
        assert len(got) == len(noisy)
        assert alike(got, wanted)
        assert np.abs(wanted).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_offline(exported: Exported, name: str) -> None:
    """Offline it begins half a window early, with the first samples mirrored, and ends with a whole hop."""
    denoiser = sherpa.OfflineSpeechDenoiser(
        sherpa.OfflineSpeechDenoiserConfig(model=configured(exported(name, "sherpa")))
    )
    model, noisy = network(name), noise(20_077)
    got = np.array(denoiser.run(noisy, 16_000).samples)
    assert len(got) == len(noisy) // 256 * 256
    assert alike(got, mirrored(model, noisy))


def mirrored(model: SpeechEnhancer, noisy: NDArray) -> NDArray:
    """The network on frames of the clip with both ends mirrored."""
    assert isinstance(model, FrameEnhancer)
    frames, half = model.frames, 256
    padded = torch.from_numpy(np.pad(noisy, half, mode="reflect"))[None]
    pieces = padded.unfold(1, frames.length, frames.hop)
    with torch.no_grad():
        enhanced = model.enhance_frames(frames.analyzed(pieces), Memory())
        late = frames.inverse(enhanced, Memory())[0].numpy()
    return model.output_gain * late[half:]
