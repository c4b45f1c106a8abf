"""Every registered network is exported, small, in each form that its class can have.

The export itself compares the file with the network, in onnxruntime and at three lengths.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill import export
from sedistill.inference.exporting.command import Form
from sedistill.inference.exporting.verifying import Findings
from sedistill.models.base import SpeechEnhancer
from sedistill.models.gtcrn import GTCRN
from sedistill.models.presets import NETWORKS, build_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

# Small: few layers, which the exporter goes through, and long steps, by which a stream is compared.
CONV_TAS_NET = {"class": "ConvTasNet", "filters": 8, "filter_length": 80, "bottleneck": 4, "hidden": 8,
                "blocks": 1, "repeats": 1}  # fmt: skip
DEMUCS = {"class": "DEMUCS", "channels": 4, "depth": 2, "stride": 8, "resample": 2}
CLEAN_UNET = {"class": "CleanUNet", "channels": 4, "max_channels": 8, "depth": 5, "blocks": 1, "width": 8,
              "hidden": 8}  # fmt: skip
SMALL: dict[str, tuple[dict[str, Any], tuple[Form, ...]]] = {
    "ConvTasNet": ({**CONV_TAS_NET, "deep_layers": 1}, ("clip",)),
    "ConvTasNet, causal": ({**CONV_TAS_NET, "deep_layers": 0, "causal": True}, ("stream", "clip")),
    "DCCRN": ({"class": "DCCRN", "channels": [4, 6], "lstm_units": 6, "lstm_layers": 1}, ("stream", "clip")),
    "DPTNet": ({"class": "DPTNet", "filters": 4, "hidden": 3, "chunk": 20, "repeats": 1}, ("clip",)),
    "GTCRN": ({"class": "GTCRN"}, ("stream", "clip")),
    "FastEnhancer": (
        {"class": "FastEnhancer", "channels": 4, "convolutions": 1, "units": 4, "bands": 5, "blocks": 1},
        ("stream", "clip"),
    ),
    "MANNER": ({"class": "MANNER", "channels": 3, "depth": 2, "chunk": 16}, ("clip",)),
    "WaveUNet": ({"class": "WaveUNet", "filters": 2, "layers": 2}, ("clip",)),
    "DEMUCS": ({**DEMUCS, "bidirectional": True}, ("clip",)),
    "DEMUCS, causal": ({**DEMUCS, "normalize": False}, ("stream", "clip")),
    "TSTNN": (
        {"class": "TSTNN", "channels": 8, "frame_length": 256, "dense_layers": 1, "repeats": 1, "heads": 2},
        ("clip",),
    ),
    "CleanUNet": (CLEAN_UNET, ("clip",)),
    "CleanUNet, causal": ({**CLEAN_UNET, "normalize": False, "reach": 5}, ("stream", "clip")),
    "E3Net": (
        {"class": "E3Net", "filters": 8, "projection": 4, "inner": 6, "hidden": 4, "blocks": 1},
        ("stream", "clip"),
    ),
}
EXPORTS = [(name, form) for name, (_, forms) in SMALL.items() for form in forms]


def network(name: str) -> SpeechEnhancer:
    """With statistics of a batch and an output as loud as full scale, so that a difference is one."""
    torch.manual_seed(0)
    model = build_model(SMALL[name][0])
    if isinstance(model, GTCRN):  # it has one size
        del model.encoder[2:4], model.recurrent[1:], model.decoder[1:3]
    noisy = 0.1 * torch.randn(2, 4000)
    with torch.no_grad():
        model.train()(noisy)
        model.output_gain = 1 / float(model.eval()(noisy).abs().max())
    return model


def test_every_network_is_here() -> None:
    assert NETWORKS.keys() == {name.partition(",")[0] for name in SMALL}


@pytest.mark.parametrize(("name", "form"), EXPORTS)
def test_network_is_exported(tmp_path: Path, name: str, form: Form) -> None:
    model = network(name)
    assert ("stream" in SMALL[name][1]) == (model.step_samples is not None)
    found = export(model, tmp_path / "network.onnx", form)
    assert isinstance(found, Findings)
    assert len(set(found.lengths)) == 3
    assert found.difference < 1e-4
    graph = onnx.load(tmp_path / "network.onnx").graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    norms = [node for node in graph.node if node.op_type == "LayerNormalization"]
    # A mean that is left in would cost the variance its digits, in releases of onnxruntime until 2026.
    assert {makers[norm.input[0]] for norm in norms} <= {"Sub"}
