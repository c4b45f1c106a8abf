"""Files in fewer bits: what they hold, on what they are calibrated, and that bad ones are not written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sedistill import export, open_onnx
from sedistill.common.errors import UserError
from sedistill.inference.exporting.calibration import MOST_CLIPS, calibration_clips
from sedistill.inference.exporting.coarsening import MOST_EXAMPLES, Precision, coarse, exact_nodes, examples
from sedistill.inference.exporting.verifying import CoarseFindings, verify_coarse
from tests.inference.exporting.conftest import network
from tests.inference.exporting.test_export import noise

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("pesq")

Exported = Callable[[str, str], Path]
ANY_LOSS = 9.0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another rate than the network's, one of them with two channels."""
    folder = tmp_path_factory.mktemp("clips")
    soundfile.write(folder / "a.wav", noise(24_000), 48_000)
    soundfile.write(folder / "b.wav", np.stack([noise(8_000, 1), noise(8_000, 2)], axis=1), 8_000)
    return folder


def test_clips_come_at_the_networks_rate(clips: Path, tmp_path: Path) -> None:
    found = calibration_clips(clips, 16_000)
    assert [len(clip.noisy) for clip in found] == [8_000, 16_000]
    assert [clip.clean for clip in found] == [None, None]
    assert len(calibration_clips(clips / "a.wav", 16_000)) == 1
    for side, level in (("noisy", 1.0), ("clean", 0.5)):
        (tmp_path / side).mkdir()
        soundfile.write(tmp_path / side / "x.wav", level * noise(480_000), 16_000, subtype="FLOAT")
    (pair,) = calibration_clips(tmp_path, 16_000)
    assert len(pair.noisy) == 160_000
    np.testing.assert_allclose(pair.clean, 0.5 * pair.noisy, atol=1e-7)
    assert MOST_CLIPS == 25


def test_places_without_sound_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no audio files"):
        calibration_clips(tmp_path, 16_000)
    with pytest.raises(UserError, match="nothing"):
        calibration_clips(tmp_path / "nothing", 16_000)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"text\.wav"):
        calibration_clips(tmp_path, 16_000)


def test_examples_are_what_the_graph_heard(exported: Exported, clips: Path) -> None:
    found = examples(exported("two blocks", "stream"), calibration_clips(clips / "a.wav", 16_000))
    assert len(found) == -(-(8_000 + 256) // 256) <= MOST_EXAMPLES
    assert set(found[0]) == {"noisy", *(f"state_{i}" for i in range(len(found[0]) - 1))}
    assert not any(found[0][name].any() for name in found[0] if name != "noisy")
    assert any(found[1][name].any() for name in found[1] if name != "noisy")


@pytest.mark.parametrize(
    ("name", "form", "precision", "kind"),
    [
        ("two blocks", "stream", "int8", "INT8"),
        ("two blocks", "sherpa", "fp16", "FLOAT16"),
        ("no steps", "clip", "int8", "INT8"),
    ],
)
def test_weights_have_fewer_bits_and_the_output_stays_near(
    exported: Exported, clips: Path, tmp_path: Path, name: str, form: str, precision: Precision, kind: str
) -> None:
    place, model = tmp_path / "q.onnx", network(name)
    file = coarse(onnx.load(exported(name, form)), precision, calibration_clips(clips, 16_000))
    onnx.save(file, place)
    wanted_type = onnx.TensorProto.DataType.Value(kind)
    assert any(one.data_type == wanted_type and len(one.dims) > 1 for one in file.graph.initializer)
    found = verify_coarse(place, model, 1.25, [], ANY_LOSS, precision)
    assert found.precision == precision
    with torch.no_grad():
        clip = torch.from_numpy(noise(9_000))[None]
        got, wanted = open_onnx(place)(clip), 1.25 * model(clip)
    error = float((got - wanted).square().mean() / wanted.square().mean())
    assert 1e-9 < error < 0.1


def test_clips_of_steps_and_what_loses_too_much(clips: Path, tmp_path: Path) -> None:
    """A clip's graph is coarse, too; and the file is gone where its quality is."""
    wishes = {"form": "clip", "precision": "int8", "calibrate": clips}
    place, model = tmp_path / "q.onnx", network("other hop")
    found = export(model, place, max_pesq_loss=ANY_LOSS, **wishes)  # type: ignore[arg-type]
    assert isinstance(found, CoarseFindings)
    file = onnx.load(place)
    assert {one.key: one.value for one in file.metadata_props}["precision"] == "int8"
    assert any(one.data_type == onnx.TensorProto.INT8 for one in file.graph.initializer)
    with pytest.raises(UserError, match=r"in int8 WB-PESQ is .* and may lose -4"):
        verify_coarse(place, model, 1.25, [], -4, "int8")


def test_what_is_too_coarse_is_not_written(
    exported: Exported, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = onnx.load(exported("two blocks", "stream"))
    monkeypatch.setattr("sedistill.inference.exporting.command._in_form", lambda *given: file)
    with pytest.raises(UserError, match=r"q\.onnx was not written: in int8 WB-PESQ is"):
        export(
            network("two blocks"), tmp_path / "q.onnx", precision="int8", calibrate=clips, max_pesq_loss=-4
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wish", "said"),
    [({"precision": "int8"}, "int8 needs sound"), ({"precision": "int4"}, "choose one of fp32, int8, fp16")],
)
def test_impossible_wishes(tmp_path: Path, wish: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        export(network("two blocks"), tmp_path / "q.onnx", **wish)


def test_fourier_transforms_stay_exact(exported: Exported) -> None:
    """Both stages of both directions; in eight bits they alone cost fastenhancer-t 0.8 of WB-PESQ."""
    model = onnx.load(exported("two blocks", "stream"))
    exact = exact_nodes(model)
    products = [node for node in model.graph.node if node.name in exact and node.op_type == "MatMul"]
    assert len(products) == 4
