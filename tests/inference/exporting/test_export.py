"""An exported file is the network, says what it is, and is not there when it is something else."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import sedistill
from sedistill import Stream, export, open_onnx
from sedistill.common.errors import UserError
from sedistill.inference.exporting import verifying
from sedistill.inference.exporting.graphs import MatrixFrames
from sedistill.models.base import SpeechEnhancer
from sedistill.models.frames import Frames
from sedistill.models.layers.memory import Memory
from sedistill.models.saving import model_hash
from tests.inference.exporting.conftest import network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

export_module = sys.modules["sedistill.inference.exporting.command"]  # the function hides it
Exported = Callable[[str, str], Path]
FILES = [
    ("two blocks", "stream"),
    ("two blocks", "clip"),
    ("two blocks", "sherpa"),
    ("five blocks", "sherpa"),
    ("other hop", "stream"),
    ("no steps", "clip"),
]


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize(("name", "form"), FILES)
def test_file_gives_what_the_network_gives(exported: Exported, name: str, form: str) -> None:
    found, model = open_onnx(exported(name, form)), network(name)
    for length in (1, 700, 20_001):
        noisy = np.stack([noise(length), noise(length, 1)])
        wanted = sedistill.enhance(model, noisy, 16_000, chunk_seconds=None)
        got = sedistill.enhance(found, noisy, 16_000, chunk_seconds=None)
        assert np.abs(got - wanted).max() < 1e-4 * max(1, np.abs(wanted).max())
        assert np.abs(wanted).max() > 1e-3
    assert (found.sample_rate, found.latency_samples) == (model.sample_rate, model.latency_samples)
    assert found.step_samples == (None if form == "clip" else model.step_samples)


@pytest.mark.parametrize("form", ["stream", "sherpa"])
def test_file_streams(exported: Exported, form: str) -> None:
    stream, noisy = Stream(open_onnx(exported("two blocks", form))), np.stack([noise(9000), noise(9000, 2)])
    pieces = [stream.process(piece) for piece in np.split(noisy, [5, 700, 4000], axis=1)]
    got = np.concatenate([*pieces, stream.flush()], axis=1)
    wanted = sedistill.enhance(network("two blocks"), noisy, 16_000, chunk_seconds=None)
    assert np.abs(got - wanted).max() < 1e-5
    assert stream.latency_ms == 32


def facts_of(path: Path) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load(path).metadata_props}


def test_metadata_tell_all_that_a_program_needs(exported: Exported) -> None:
    facts, model = facts_of(exported("five blocks", "sherpa")), network("five blocks")
    assert facts["model_type"] == "gtcrn"
    assert facts["window_type"] == "hann_sqrt"
    numbers = {name: int(facts[name]) for name in ("sample_rate", "n_fft", "hop_length", "window_length")}
    assert numbers == {"sample_rate": 16_000, "n_fft": 512, "hop_length": 256, "window_length": 512}
    assert facts["conv_cache_shape"] == "120"  # three blocks of 5 bands and 8 units
    assert facts["tra_cache_shape"] == facts["inter_cache_shape"] == "1,5,8"
    assert json.loads(facts["state_shapes"]) == [[120], [1, 5, 8], [1, 5, 8]]
    assert facts["model_sha256"] == model_hash(model)
    assert facts["sedistill_version"] == sedistill.__version__
    assert json.loads(facts["licences"])["weights"] == "not stated"
    assert json.loads(facts["output_gain_applied"]) == 1.25
    stream = facts_of(exported("two blocks", "stream"))
    assert (stream["step_samples"], stream["delay_samples"], stream["latency_ms"]) == ("256", "256", "32.0")
    assert "model_type" not in stream


def test_a_slot_without_use_is_a_dummy(exported: Exported) -> None:
    facts = facts_of(exported("two blocks", "sherpa"))
    assert [facts[f"{name}_cache_shape"] for name in ("conv", "tra", "inter")] == ["1,5,8", "1,5,8", "1"]


def test_norms_are_folded(exported: Exported) -> None:
    model = onnx.load(exported("two blocks", "stream"))
    operators = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in operators
    assert "GRU" in operators
    assert not {"STFT", "DFT"} & operators
    assert next(one.version for one in model.opset_import if one.domain == "") == 18


@pytest.mark.parametrize(("window", "hop"), [(512, 256), (512, 100), (400, 160), (14, 7)])
def test_matrix_products_are_the_transforms(window: int, hop: int) -> None:
    torch.manual_seed(0)
    plain, matrices = Frames(window, hop), MatrixFrames(Frames(window, hop))
    x = torch.randn(2, 10 * hop)
    frames = plain(x, Memory())
    torch.testing.assert_close(matrices(x, Memory()), frames, rtol=0, atol=2e-5)
    torch.testing.assert_close(matrices.inverse(frames, Memory()), plain.inverse(frames, Memory()))


def with_lost_states(path: Path) -> Any:
    """The file's model, whose states stay what they were."""
    model = onnx.load(path)
    for state, following in zip(model.graph.input[1:], model.graph.output[1:], strict=True):
        for node in model.graph.node:
            for place, name in enumerate(node.output):
                if name == following.name:
                    node.output[place] = f"lost_{name}"
        model.graph.node.append(onnx.helper.make_node("Identity", [state.name], [following.name]))
    return model


class Odd(SpeechEnhancer):
    causal, latency_samples, step_samples, se_loss = True, 64, 64, "si_snr"

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def piece(self, noisy: torch.Tensor, memory: Memory) -> torch.Tensor:
        return torch.special.bessel_j0(self.one * noisy)


class TestNothingWrongIsWritten:
    """The comparison finds what exporters are known to do, and no file is left."""

    def refused(self, folder: Path, match: str, model: SpeechEnhancer, form: str = "stream") -> None:
        with pytest.raises(UserError, match=match):
            export(model, folder / "out.onnx", form)  # type: ignore[arg-type]
        assert list(folder.iterdir()) == []

    def test_other_numbers(self, exported: Exported) -> None:
        model = network("two blocks")
        with torch.no_grad():
            model.join.linear.weight.mul_(1.1)  # type: ignore[union-attr, operator]
        with pytest.raises(UserError, match="differs from PyTorch's by"):
            verifying.verify(exported("two blocks", "stream"), model, 1.25)

    def test_other_level(self, exported: Exported) -> None:
        with pytest.raises(UserError, match="differs from PyTorch's by"):
            verifying.verify(exported("two blocks", "stream"), network("two blocks"), 1.3)

    def test_lost_states(self, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = with_lost_states(exported("two blocks", "stream"))
        monkeypatch.setattr(export_module, "_in_form", lambda *given: model)
        self.refused(tmp_path, "out.onnx was not written: a clip of .* differs", network("two blocks"))

    def test_future_that_leaks(self, exported: Exported) -> None:
        found = open_onnx(exported("no steps", "clip"))  # hears the whole clip
        found.latency_samples = 500
        with pytest.raises(UserError, match="hears later input than 500 samples allow"):
            verifying._hears_no_future(found, noise(16_000))

    def test_window_that_does_not_reconstruct(self, exported: Exported) -> None:
        found = open_onnx(exported("two blocks", "sherpa"))
        found.frames.window.copy_(torch.hann_window(512))  # type: ignore[union-attr, operator]
        with pytest.raises(UserError, match="window of 512 samples does not reconstruct at a hop of 256"):
            verifying._reconstructs(found)

    def test_other_quality(self) -> None:
        pytest.importorskip("pesq")
        noisy, clean = verifying.check_clip(16_000)
        assert verifying._same_quality(clean, noisy, noisy, 16_000) is not None
        with pytest.raises(UserError, match="WB-PESQ of the check clip is"):
            verifying._same_quality(clean, noisy, clean + 0.5 * (noisy - clean), 16_000)

    def test_networks_without_steps(self, tmp_path: Path) -> None:
        self.refused(
            tmp_path, "ConvTasNet looks at the whole clip .* choose --form clip", network("no steps")
        )

    def test_what_the_exporter_cannot_follow(self, tmp_path: Path) -> None:
        class Chooses(Odd):
            def piece(self, noisy: torch.Tensor, memory: Memory) -> torch.Tensor:
                return self.one * noisy if noisy.sum() > 0 else noisy

        self.refused(tmp_path, "Chooses as stream cannot be exported: PyTorch's exporter does", Chooses())

    def test_an_operator_that_onnx_lacks(self, tmp_path: Path) -> None:
        self.refused(tmp_path, "Odd as stream cannot be .* ONNX has no operator for .*bessel_j0", Odd())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"form": "tflite"}, "form = tflite: choose one of stream, spectrum, clip, sherpa"),
        ({"opset": 9}, "opset = 9: choose one from 18 to 23"),
        ({"output": "out.bin"}, "ends in .onnx"),
    ],
)
def test_impossible_wishes(tmp_path: Path, wrong: dict, named: str) -> None:
    wishes = {"output": "out.onnx", **wrong}
    with pytest.raises(UserError, match=named):
        export(network("two blocks"), tmp_path / wishes.pop("output"), **wishes)
    assert list(tmp_path.iterdir()) == []


def test_sherpa_takes_half_overlap_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one of 160 samples in 512; choose --form stream"):
        export(network("other hop"), tmp_path / "out.onnx", "sherpa")


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "out.onnx").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        export(network("two blocks"), tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_text() == "mine"


def test_what_is_no_denoiser_is_refused(tmp_path: Path, exported: Exported) -> None:
    with pytest.raises(UserError, match=r"nothing\.onnx"):
        open_onnx(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UserError, match=r"text\.onnx is not a model that onnxruntime can run"):
        open_onnx(tmp_path / "text.onnx")
    model = onnx.load(exported("two blocks", "stream"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match=r"foreign\.onnx is an ONNX file, but no denoiser"):
        open_onnx(tmp_path / "foreign.onnx")
    entry = model.metadata_props.add()
    entry.key, entry.value = "sedistill_form", "stream"
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(UserError, match=r"bare\.onnx has metadata that do not fit"):
        open_onnx(tmp_path / "bare.onnx")
