"""ONNX files as teachers: every form gives what the network in it gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sedistill.common.errors import UserError
from sedistill.teachers.opening import open_teacher
from tests.teachers.test_foreign import write_speech

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def save(
    path: Path, nodes: list, inputs: dict, outputs: dict, constants: dict | None = None, **facts: object
) -> Path:
    """A graph written by hand; inputs and outputs by name with their shapes."""

    def ports(shapes: dict) -> list:
        return [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in shapes.items()]

    values = {name: np.float32(value) for name, value in (constants or {}).items()}
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "graph", ports(inputs), ports(outputs), tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for name, value in facts.items():
        model.metadata_props.add(key=name, value=str(value))
    onnx.save(model, str(path))
    return path


@pytest.fixture
def noisy() -> torch.Tensor:
    return 0.1 * torch.randn(2, 3_000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [["T"], [1, "T"], ["B", 1, "T"]])
def test_waveform_in_and_out(tmp_path: Path, noisy: torch.Tensor, shape: list) -> None:
    node = helper.make_node("Mul", ["x", "half"], ["y"])
    path = save(tmp_path / "half.onnx", [node], {"x": shape}, {"y": shape}, {"half": 0.5}, sample_rate=16_000)
    torch.testing.assert_close(open_teacher({"onnx": str(path)}, 16_000)(noisy), 0.5 * noisy)


def test_a_network_exported_by_torch_gives_what_it_gives(tmp_path: Path, noisy: torch.Tensor) -> None:
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv1d(4, 1, 5, padding=2)).eval()
    length = torch.export.Dim("samples", min=16)
    torch.onnx.export(
        network, (torch.zeros(1, 1, 2_000),), str(tmp_path / "net.onnx"), dynamo=True,
        dynamic_shapes=({2: length},), verbose=False,
    )  # fmt: skip
    teacher = open_teacher({"onnx": str(tmp_path / "net.onnx"), "rate": 16_000}, 16_000)
    with torch.no_grad():
        torch.testing.assert_close(teacher(noisy), network(noisy[:, None])[:, 0], atol=1e-5, rtol=1e-4)


def frames_with_state(path: Path, first: str = "wav_in") -> Path:
    """Frames of 100 samples, each given back one frame later: the state is the frame before."""
    nodes = [
        helper.make_node("Identity", ["cache_in_0"], ["wav_out"]),
        helper.make_node("Identity", [first], ["cache_out_0"]),
    ]
    shape = [1, 100]
    return save(path, nodes, {first: shape, "cache_in_0": shape}, {"wav_out": shape, "cache_out_0": shape})


def test_frames_of_a_waveform_with_states(tmp_path: Path) -> None:
    """FastEnhancer's form; the frame by which this graph is late is measured and taken out."""
    path, clips = frames_with_state(tmp_path / "late.onnx"), write_speech(tmp_path / "set")
    teacher = open_teacher({"onnx": str(path), "rate": 16_000}, 16_000, on=clips)
    assert teacher.measured is not None
    assert teacher.measured.delay == 100
    noisy = torch.from_numpy(clips[0][0])[None]
    torch.testing.assert_close(teacher(noisy) / teacher.level_factor, noisy)


def spectra_with_states(path: Path, window: str, hop: int) -> Path:
    names, shape, state = ["conv_cache", "tra_cache", "inter_cache"], [1, 257, 1, 2], [1, 2]
    nodes = [helper.make_node("Mul", ["mix", "half"], ["enh"])]
    nodes += [helper.make_node("Identity", [name], [f"{name}_out"]) for name in names]
    return save(
        path, nodes, {"mix": shape} | dict.fromkeys(names, state),
        {"enh": shape} | {f"{name}_out": state for name in names}, {"half": 0.5}, model_type="gtcrn",
        sample_rate=16_000, n_fft=512, hop_length=hop, window_length=512, window_type=window,
    )  # fmt: skip


@pytest.mark.parametrize(("window", "hop"), [("hann_sqrt", 256), ("hann", 128)])
def test_frames_of_spectra_with_states(tmp_path: Path, noisy: torch.Tensor, window: str, hop: int) -> None:
    """GTCRN's form for sherpa-onnx; the transform comes from the metadata and is undone exactly."""
    path = spectra_with_states(tmp_path / "gtcrn.onnx", window, hop)
    torch.testing.assert_close(
        open_teacher({"onnx": str(path)}, 16_000)(noisy), 0.5 * noisy, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("shape", [[1, 257, "T", 2], ["B", "T", 257, 2]])
def test_all_frames_of_spectra_at_once(tmp_path: Path, noisy: torch.Tensor, shape: list) -> None:
    node = helper.make_node("Mul", ["x", "half"], ["y"])
    path = save(tmp_path / "half.onnx", [node], {"x": shape}, {"y": shape}, {"half": 0.5})
    spec = {"onnx": str(path), "rate": 16_000, "stft": {"n_fft": 512, "hop_length": 256}}
    torch.testing.assert_close(open_teacher(spec, 16_000)(noisy), 0.5 * noisy, atol=1e-5, rtol=1e-4)


def test_states_that_nobody_names_have_to_be_stated(tmp_path: Path, noisy: torch.Tensor) -> None:
    path = frames_with_state(tmp_path / "late.onnx", first="sound")
    spec = {"onnx": str(path), "rate": 16_000}
    with pytest.raises(UserError, match=r"state states: zeros; its inputs are sound \(1, 100\); cache_in_0"):
        open_teacher(spec, 16_000)
    late = open_teacher({**spec, "states": "zeros"}, 16_000)(noisy)
    torch.testing.assert_close(late[:, 100:], noisy[:, :-100])


@pytest.mark.parametrize(
    ("inputs", "outputs", "facts", "words"),
    [
        ({"image": [1, 3, 9, 9]}, {"y": [1, 3, 9, 9]}, {"sample_rate": 16_000}, "neither one waveform"),
        ({"x": [1, "T"]}, {"y": [1, "T"]}, {}, "does not say its rate"),
        ({"x": [1, 512]}, {"y": [1, 512]}, {"sample_rate": 16_000}, "512 samples at a time"),
        ({"x": [1, 257, 1, 2]}, {"y": [1, 257, 1, 2]}, {"sample_rate": 16_000}, "state stft"),
    ],
)  # fmt: skip
def test_a_graph_that_is_no_denoiser_is_refused(
    tmp_path: Path, inputs: dict, outputs: dict, facts: dict, words: str
) -> None:
    node = helper.make_node("Identity", [next(iter(inputs))], ["y"])
    path = save(tmp_path / "other.onnx", [node], inputs, outputs, **facts)
    with pytest.raises(UserError, match=words):
        open_teacher({"onnx": str(path)}, 16_000)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(UserError, match="onnxruntime can run"):
        open_teacher({"onnx": str(tmp_path / "x.onnx"), "rate": 16_000}, 16_000)
    with pytest.raises(UserError, match="does not exist"):
        open_teacher({"onnx": str(tmp_path / "none.onnx"), "rate": 16_000}, 16_000)
