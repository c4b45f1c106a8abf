"""Exported files at work in onnxruntime, as networks like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sedistill.common.errors import UserError
from sedistill.common.reading import require_file
from sedistill.inference.exporting.onnx_session import FORM, SLOT_STATES, Session, read
from sedistill.models.base import SpeechEnhancer
from sedistill.models.frames import FrameEnhancer
from sedistill.models.layers.memory import Memory


def open_onnx(path: Path | str) -> SpeechEnhancer:
    """The network in an exported file, on one thread of the CPU.

    Reads what `export` writes, and files for the GTCRN slot of sherpa-onnx by whomever.
    Raises UserError for anything else.
    """
    path = Path(path)
    require_file(path, "give a file that `sedistill export` wrote")
    session = Session(path)
    form = session.facts.get(FORM, "sherpa" if session.facts.get("model_type") == "gtcrn" else "")
    known: dict[str, type[OnnxSteps | OnnxFrames | OnnxClip]] = {
        "stream": OnnxSteps,
        "spectrum": OnnxFrames,
        "sherpa": OnnxFrames,
        "clip": OnnxClip,
    }
    if form not in known:
        raise UserError(
            f"{path} is an ONNX file, but no denoiser that is known here: its metadata name neither a form "
            "of sedistill nor sherpa-onnx's gtcrn."
        )
    try:
        return known[form]().opened(session)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} has metadata that do not fit its form, {form} ({error}).") from None


class _InSession:
    """One item at a time through a session whose states are those of one channel."""

    session: Session

    def through_session(self, items: Tensor, memory: Memory) -> Tensor:
        """Items (B, K, ...), each of which the session takes as (1, ...), one after the other."""
        given = [memory.take() for _ in self.session.state_shapes]
        outputs, left = [], []
        for channel, item in enumerate(items.numpy()):
            states = [
                np.zeros(shape, np.float32) if state is None else state[channel].numpy()
                for state, shape in zip(given, self.session.state_shapes, strict=True)
            ]
            made = []
            for one in item:
                output, *states = self.session.run(one[None], *states)
                made.append(output[0])
            outputs.append(np.stack(made))
            left.append(states)
        for of_one in zip(*left, strict=True):
            memory.leave(torch.from_numpy(np.stack(of_one)))
        return torch.from_numpy(np.stack(outputs))

    def __deepcopy__(self, memo: Any) -> Any:
        return self  # a session keeps nothing, and cannot be copied


class OnnxSteps(_InSession, SpeechEnhancer):
    """Form `stream`: samples of one step and states."""

    se_loss = "si_snr"

    def opened(self, session: Session) -> "OnnxSteps":
        self.session, self.causal = session, bool(read(session.facts, "causal"))
        self.sample_rate = session.number("sample_rate")
        self.step_samples = session.number("step_samples")
        self.latency_samples = session.number("latency_samples")
        return self

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        steps = noisy.unflatten(1, (-1, self.step_samples or 1))
        return self.through_session(steps, memory).flatten(1)


class OnnxFrames(_InSession, FrameEnhancer):
    """Forms `spectrum` and `sherpa`: one frame of a spectrum and states."""

    se_loss = "si_snr"

    def opened(self, session: Session) -> "OnnxFrames":
        window, hop, kind = (
            session.number("n_fft"),
            session.number("hop_length"),
            session.facts["window_type"],
        )
        if kind != "hann_sqrt" or session.number("window_length") != window:
            raise ValueError(f"a window {kind} of another length than n_fft, or none with a known inverse")
        if session.facts.get("model_type") == "gtcrn":
            wanted = [session.facts[f"{name}_shape"] for name in SLOT_STATES]
            if wanted != [",".join(map(str, shape)) for shape in session.state_shapes]:
                raise ValueError(f"its states have the shapes {session.state_shapes}")
        self.session, self.sample_rate = session, session.number("sample_rate")
        self.use_frames(window, hop)
        return self

    def enhance_frames(self, frames: Tensor, memory: Memory) -> Tensor:
        return self.through_session(frames.unsqueeze(3), memory).squeeze(3)  # (1, bins, 1, 2) at a time


class OnnxClip(SpeechEnhancer):
    """Form `clip`: a whole clip."""

    se_loss = "si_snr"

    def opened(self, session: Session) -> "OnnxClip":
        self.session, self.causal = session, bool(read(session.facts, "causal"))
        self.sample_rate = session.number("sample_rate")
        self.latency_samples = read(session.facts, "latency_samples")
        return self

    def forward(self, noisy: Tensor) -> Tensor:
        clips = [self.session.run(clip[None])[0] for clip in noisy.numpy()]
        return torch.from_numpy(np.concatenate(clips))

    def __deepcopy__(self, memo: Any) -> Any:
        return self
