"""ONNX files as teachers: every form gives what the network in it gives."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sedistill.common.errors import UserError
from sedistill.teachers.framed_stft import spectra_of, wave_of
from sedistill.teachers.opening import open_foreign, open_teacher
from sedistill.teachers.teacher_settings import StftSettings, TeacherFrom
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

    values = {
        name: np.float32(value) if isinstance(value, float) else value
        for name, value in (constants or {}).items()
    }
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


def frames_with_state(path: Path, first: str = "wav_in", size: int = 100) -> Path:
    """Frames of 100 samples, each given back one frame later: the state is the frame before."""
    nodes = [
        helper.make_node("Identity", ["cache_in_0"], ["wav_out"]),
        helper.make_node("Identity", [first], ["cache_out_0"]),
    ]
    shape = [1, size]
    return save(path, nodes, {first: shape, "cache_in_0": shape}, {"wav_out": shape, "cache_out_0": shape})


def test_frames_of_a_waveform_with_states(tmp_path: Path) -> None:
    """FastEnhancer's form; the frame by which this graph is late is measured and taken out."""
    path, clips = frames_with_state(tmp_path / "late.onnx"), write_speech(tmp_path / "set")
    teacher = open_teacher({"onnx": str(path), "rate": 16_000}, 16_000, on=clips)
    assert teacher.measured is not None
    assert teacher.measured.delay == 100
    noisy = torch.from_numpy(clips[0][0])[None]
    torch.testing.assert_close(teacher(noisy) / teacher.level_factor, noisy)


def spectra_with_states(path: Path, window: str, hop: int, n_fft: int = 512) -> Path:
    names, shape, state = ["conv_cache", "tra_cache", "inter_cache"], [1, n_fft // 2 + 1, 1, 2], [1, 2]
    nodes = [helper.make_node("Mul", ["mix", "half"], ["enh"])]
    nodes += [helper.make_node("Identity", [name], [f"{name}_out"]) for name in names]
    return save(
        path, nodes, {"mix": shape} | dict.fromkeys(names, state),
        {"enh": shape} | {f"{name}_out": state for name in names}, {"half": 0.5}, model_type="gtcrn",
        sample_rate=16_000, n_fft=n_fft, hop_length=hop, window_length=n_fft, window_type=window,
    )  # fmt: skip


@pytest.mark.parametrize(("window", "hop"), [("hann_sqrt", 256), ("hann", 128)])
def test_frames_of_spectra_with_states(tmp_path: Path, noisy: torch.Tensor, window: str, hop: int) -> None:
    """GTCRN's form for sherpa-onnx; the transform comes from the metadata and is undone exactly."""
    path = spectra_with_states(tmp_path / "gtcrn.onnx", window, hop)
    torch.testing.assert_close(
        open_teacher({"onnx": str(path)}, 16_000)(noisy), 0.5 * noisy, atol=1e-5, rtol=1e-4
    )


def dpdfnet(path: Path, spec: list | None = None, **facts: object) -> Path:
    """DPDFNet's form: spectra at half their level, times what its state begins with, two windows late."""
    size, frame = 3 + 4 * 322, spec or [1, 1, 161, 2]
    one_frame = {"shape": np.int64([1, 1, 161, 2]), "flat": np.int64([322])}
    nodes = [  # the state: three numbers that normalize, and the four frames that came last
        helper.make_node("Split", ["state_in", "sizes"], ["norms", "oldest", "others"], axis=0),
        helper.make_node("ReduceSum", ["norms"], ["level"], keepdims=0),
        helper.make_node("Reshape", ["oldest", "shape"], ["before"]),
        helper.make_node("Mul", ["before", "level"], ["spec_e"]),
        helper.make_node("Reshape", ["spec", "flat"], ["newest"]),
        helper.make_node("Concat", ["norms", "others", "newest"], ["state_out"], axis=0),
    ]
    sizes = {"sizes": np.int64([3, 322, 3 * 322]), **one_frame}
    known = {
        "profile": "stand-in", "sample_rate": 16_000, "n_fft": 320, "hop_length": 160, "window_length": 320,
        "window_type": "vorbis", "state_size": size, "erb_norm_state_size": 2, "spec_norm_state_size": 1,
        "erb_norm_init": "0.25,0.125", "spec_norm_init": "0.125",
    } | facts  # fmt: skip
    return save(
        path, nodes, {"spec": frame, "state_in": [size]}, {"spec_e": frame, "state_out": [size]}, sizes,
        **{name: value for name, value in known.items() if value is not None},
    )  # fmt: skip


NO_TRANSFORM = dict.fromkeys(("n_fft", "hop_length", "window_length", "window_type"))


@pytest.mark.parametrize("spec", [[1, 1, 161, 2], ["batch", "time", 161, 2]])
@pytest.mark.parametrize("facts", [{}, NO_TRANSFORM])
def test_dpdfnet_is_known(tmp_path: Path, noisy: torch.Tensor, spec: list, facts: dict) -> None:
    """Its window is Vorbis', its state begins as the metadata say, and its output comes two windows late."""
    path = dpdfnet(tmp_path / "dpdfnet.onnx", spec, **facts)
    late = open_teacher({"onnx": str(path)}, 16_000)(noisy)
    torch.testing.assert_close(late[:, 640:], 0.5 * noisy[:, :-640], atol=1e-5, rtol=1e-4)
    at_once = open_teacher({"onnx": str(path), "delay_ms": 40}, 16_000)(noisy)
    torch.testing.assert_close(at_once, 0.5 * noisy, atol=1e-5, rtol=1e-4)


def test_an_export_of_dpdfnet_that_does_not_say_its_state_is_refused(
    tmp_path: Path, noisy: torch.Tensor
) -> None:
    early = dpdfnet(tmp_path / "early.onnx", erb_norm_init=None)
    with pytest.raises(UserError, match=r"early export of DPDFNet.*spec \(1, 1, 161, 2\); state_in \(1291\)"):
        open_teacher({"onnx": str(early)}, 16_000)
    silent = open_teacher({"onnx": str(early), "states": "zeros"}, 16_000)
    assert not silent(noisy).any()  # the norms began at zero
    known = str(dpdfnet(tmp_path / "known.onnx"))
    at_zero = open_teacher({"onnx": known, "states": "zeros"}, 16_000)
    assert at_zero.hash != open_teacher({"onnx": known}, 16_000).hash, "outputs are kept under it"
    damaged = dpdfnet(tmp_path / "damaged.onnx", erb_norm_init="a,b")
    with pytest.raises(UserError, match="metadata cannot be read"):
        open_teacher({"onnx": str(damaged)}, 16_000)


@pytest.mark.parametrize("form", ["samples", "spectra"])
def test_a_long_input_takes_no_more_memory_than_a_short_one(tmp_path: Path, form: str) -> None:
    """Beside its own samples and those of the output."""
    if form == "spectra":
        path = spectra_with_states(tmp_path / "gtcrn.onnx", "hann_sqrt", 4_096, n_fft=8_192)
    else:
        path = frames_with_state(tmp_path / "late.onnx", size=4_096)
    inner = open_foreign(TeacherFrom(onnx=path, rate=16_000))
    inner.clean(np.zeros(16_000, np.float32), 16_000)
    peaks = []
    for minutes in (1, 10):
        noisy = np.zeros(minutes * 60 * 16_000, np.float32)
        tracemalloc.start()
        output = inner.clean(noisy, 16_000)
        peaks.append(tracemalloc.get_traced_memory()[1] - output.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000


def test_frames_and_overlap_add_undo_each_other() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 2_001).astype(np.float32)
    for window, hop, length in (("hann", 100, None), ("hann_sqrt", 160, None), ("vorbis", 160, 256)):
        stft = StftSettings(n_fft=320, hop_length=hop, window_length=length, window=window)
        frames = list(spectra_of(wave, stft))
        assert len(frames) == 2_001 // hop + 1
        np.testing.assert_allclose(wave_of(frames, stft, 2_001), wave, atol=1e-6)
    first = np.pad(wave, (160, 0))[:320] * np.sin(
        0.5 * np.pi * np.sin(np.pi * (np.arange(320) + 0.5) / 320) ** 2
    )
    vorbis = next(spectra_of(wave, StftSettings(n_fft=320, hop_length=160, window="vorbis")))
    np.testing.assert_allclose(vorbis[:, 0] + 1j * vorbis[:, 1], np.fft.rfft(first), atol=1e-5)


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
        (
            {"x": [1, 257, 1, 2]}, {"y": [1, 257, 1, 2]},
            {"sample_rate": 16_000, "n_fft": 512, "hop_length": 256, "window_type": "kaiser"}, "state stft",
        ),
    ],
)  # fmt: skip
def test_a_graph_that_is_no_denoiser_is_refused(
    tmp_path: Path, inputs: dict, outputs: dict, facts: dict, words: str
) -> None:
    node = helper.make_node("Identity", [next(iter(inputs))], ["y"])
    path = save(tmp_path / "other.onnx", [node], inputs, outputs, **facts)
    with pytest.raises(UserError, match=words) as refused:
        open_teacher({"onnx": str(path)}, 16_000)
    if "no denoiser" in str(refused.value):
        assert "; its inputs are" in str(refused.value)
        assert "can be stated: rate, stft" in str(refused.value)


@pytest.mark.parametrize("form", ["waveform", "frames", "spectra", "spectra at once"])
def test_a_graph_that_answers_in_stereo_is_refused(tmp_path: Path, noisy: torch.Tensor, form: str) -> None:
    """Both channels follow each other in one array, of which the first half would fit."""
    taken = {"waveform": [1, "T"], "frames": [1, 100], "spectra": [1, 257, 1, 2]}.get(form, [1, 257, "T", 2])
    nodes = [helper.make_node("Concat", ["wav_in", "wav_in"], ["y"], axis=1)]
    inputs, outputs = {"wav_in": taken}, {"y": [size if n != 1 else None for n, size in enumerate(taken)]}
    if form in ("frames", "spectra"):
        nodes.append(helper.make_node("Identity", ["state"], ["next"]))
        inputs["state"] = outputs["next"] = [1, 2]
    path = save(tmp_path / "stereo.onnx", nodes, inputs, outputs)
    spec = {"onnx": str(path), "rate": 16_000}
    stft = {"stft": {"n_fft": 512, "hop_length": 256}} if "spectra" in form else {}
    with pytest.raises(UserError, match=r"must give one channel|gives 6000 samples for 3000"):
        open_teacher(spec | stft, 16_000)(noisy)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.onnx").write_bytes(b"any")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'sedistill\[teachers\]'"):
        open_teacher({"onnx": str(tmp_path / "x.onnx"), "rate": 16_000}, 16_000)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(UserError, match="onnxruntime can run"):
        open_teacher({"onnx": str(tmp_path / "x.onnx"), "rate": 16_000}, 16_000)
    with pytest.raises(UserError, match="does not exist"):
        open_teacher({"onnx": str(tmp_path / "none.onnx"), "rate": 16_000}, 16_000)
