"""What an exported file says of itself: its metadata, as text by name."""

import json
from collections.abc import Sequence
from typing import Any

from sedistill import __version__
from sedistill.inference.exporting.onnx_session import FORM, SLOT_STATES
from sedistill.models.base import SpeechEnhancer
from sedistill.models.frames import FrameEnhancer
from sedistill.models.saving import model_hash


def facts(
    network: SpeechEnhancer, form: str, gain: float, state_shapes: Sequence[Sequence[int]], precision: str
) -> dict[str, str]:
    """Everything a program has to know that runs the file, and where it comes from."""
    known: dict[str, Any] = {
        FORM: form,
        "sedistill_version": __version__,
        "network": type(network).__name__,
        "precision": precision,
        "preset": network.preset or "",
        "model_sha256": model_hash(network),
        "licences": network.card.get("licences", {"weights": "not stated", "data": "not stated"}),
        "sample_rate": network.sample_rate,
        "causal": network.causal,
        "latency_samples": network.latency_samples,
        "latency_ms": network.latency_ms,
        "lookahead_ms": network.lookahead_ms,
        "output_gain_applied": gain,
        "state_shapes": [list(shape) for shape in state_shapes],
    }
    if network.step_samples is not None:
        known |= {"step_samples": network.step_samples, "delay_samples": network.delay_samples}
    if isinstance(network, FrameEnhancer):
        frames = network.frames
        known |= {
            "n_fft": frames.length,
            "window_length": frames.length,
            "hop_length": frames.hop,
            "window_type": "hann_sqrt",
        }
    if form == "sherpa":
        known |= {"model_type": "gtcrn", "version": 1}
        for name, shape in zip(SLOT_STATES, state_shapes, strict=True):
            known[f"{name}_shape"] = ",".join(map(str, shape))
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in known.items()}
