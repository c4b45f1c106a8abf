"""A saved model comes back bit for bit, and nothing else is taken for one."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from sedistill.common.errors import UserError
from sedistill.models import saving
from sedistill.models.base import SpeechEnhancer
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, model_hash, read_card, save_model

DESCRIPTIONS = {
    "preset": {"preset": "convtasnet-tiny"},
    "deep": {
        "class": "ConvTasNet",
        "filters": 4,
        "filter_length": 8,
        "bottleneck": 4,
        "hidden": 4,
        "blocks": 2,
    },
    "dccrn": {"class": "DCCRN", "channels": [4, 4], "lstm_units": 4, "window_length": 32, "hop_length": 16},
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(build_model("convtasnet-tiny"), tmp_path / "model")
    return tmp_path / "model"


def edit_card(folder: Path, **changes: object) -> None:
    card = {**yaml.safe_load((folder / "card.yaml").read_text()), **changes}
    (folder / "card.yaml").write_text(yaml.safe_dump(card))


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_round_trip_is_bit_exact(description: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_model(DESCRIPTIONS[description])
    model.train()(torch.randn(2, 500))  # moves the running means, where there are any
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")

    assert not loaded.training
    assert type(loaded) is type(model)
    assert loaded.settings == model.settings
    assert loaded.preset == model.preset
    assert model_hash(loaded) == model_hash(model) == model_hash(tmp_path / "m")
    noisy = torch.randn(1, 777)
    with torch.no_grad():
        assert torch.equal(loaded(noisy), model.eval()(noisy))


def test_card(tmp_path: Path) -> None:
    extra = {
        "output_gain": np.float32(-0.5),
        "metrics": {"test": {"si_sdr": torch.tensor(3.5), "n": np.int64(120)}},
        "training": {"seed": 1, "run": Path("runs/a")},
        "licences": {"weights": "CC-BY-4.0"},
    }
    save_model(build_model("dccrn-cl-dispatch-student"), tmp_path / "m", extra)
    card = yaml.safe_load((tmp_path / "m" / "card.yaml").read_text())
    assert card == load_model(tmp_path / "m").card == read_card(tmp_path / "m")
    assert card["class"] == "DCCRN"
    assert card["preset"] == "dccrn-cl-dispatch-student"
    assert card["settings"]["channels"] == [32, 64, 128, 128, 256, 256]
    assert card["sample_rate"] == 16_000
    assert card["causal"] is False
    assert card["latency_ms"] == 128.0
    assert card["parameters"] == 2_241_805
    assert card["macs_per_second"] == 2_322_595_840
    assert card["output_gain"] == load_model(tmp_path / "m").output_gain == -0.5
    assert card["metrics"] == {"test": {"si_sdr": 3.5, "n": 120}}
    assert card["training"] == {"seed": 1, "run": "runs/a"}
    assert card["licences"] == {"code": "MIT", "weights": "CC-BY-4.0", "data": "not stated"}
    assert set(card["made_by"]["versions"]) == {"sedistill", "torch", "python"}
    assert json.dumps(card)


def test_gain_survives_loading_and_saving_again(tmp_path: Path) -> None:
    save_model(build_model("convtasnet-tiny"), tmp_path / "a", {"output_gain": 0.75})
    save_model(load_model(tmp_path / "a"), tmp_path / "b")
    assert load_model(tmp_path / "b").output_gain == 0.75


def test_hash_sees_one_changed_bit_and_names(saved: Path) -> None:
    model = load_model(saved)
    before = model_hash(model)
    with torch.no_grad():
        parameter = next(model.parameters()).reshape(-1)
        parameter[0] = torch.nextafter(parameter[0], torch.tensor(9.0))
    assert model_hash(model) != before
    assert len(before) == 64


def test_overwriting(saved: Path) -> None:
    other = build_model({"preset": "convtasnet-tiny", "hidden": 8})
    with pytest.raises(UserError, match="exists already"):
        save_model(other, saved, overwrite=False)
    save_model(other, saved)
    assert load_model(saved).settings["hidden"] == 8
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not a saved model"):
        save_model(build_model("convtasnet-tiny"), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="disk is full"):
        save_model(build_model("convtasnet-tiny"), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_unknown_card_field_and_class_are_refused(tmp_path: Path) -> None:
    class Mine(SpeechEnhancer):
        causal, latency_samples, se_loss = True, 1, "si_snr"

    with pytest.raises(UserError, match="no field 'metric'"):
        save_model(build_model("convtasnet-tiny"), tmp_path / "m", {"metric": 1})
    with pytest.raises(UserError, match=r"Mine cannot be saved: .* a module that can be imported"):
        saving._card(Mine(), {})


@pytest.mark.parametrize("missing", ["card.yaml", "model.safetensors"])
def test_missing_file(saved: Path, missing: str) -> None:
    (saved / missing).unlink()
    for use in (load_model, model_hash):
        with pytest.raises(UserError, match=f"is not a saved model: {missing} is missing"):
            use(saved)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a saved model"):
        load_model(tmp_path / "nothing")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_weights_cut_short(saved: Path, share: float) -> None:
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_model(saved)


@pytest.mark.parametrize("fault", ["missing", "surplus", "shape", "dtype"])
def test_wrong_tensors(saved: Path, fault: str) -> None:
    weights = load_file(saved / "model.safetensors")
    name = "separator.mask.bias"
    expected = {
        "missing": f"{name} is missing",
        "surplus": "more does not belong",
        "shape": rf"{name} has shape \(3,\), not \(64,\)",
        "dtype": f"{name} is torch.float16, not torch.float32",
    }
    if fault == "missing":
        del weights[name]
    elif fault == "surplus":
        weights["more"] = torch.zeros(1)
    else:
        weights[name] = torch.zeros(3) if fault == "shape" else weights[name].half()
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(UserError, match=expected[fault]):
        load_model(saved)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"class": "ConvTasNett"}, "no network class 'ConvTasNett'; did you mean ConvTasNet"),
        ({"class": ["a"]}, "class = this list: it must be text"),
        ({"settings": {"filtres": 3}}, "no setting 'filtres'; did you mean filters"),
        ({"settings": {"filters": -1}}, "filters = -1"),
        ({"settings": None}, "settings = None: it must be a group of settings"),
        ({"output_gain": 0}, "output_gain: it must be a number other than 0"),
        ({"output_gain": "loud"}, "output_gain = loud: it must be a number"),
        ({"output_gain": float("nan")}, "output_gain = nan: it must be a number"),
    ],
)
def test_wrong_card(saved: Path, changes: dict[str, object], sentence: str) -> None:
    edit_card(saved, **changes)
    with pytest.raises(UserError) as raised:
        load_model(saved)
    assert sentence in str(raised.value)
    assert "card.yaml" in str(raised.value)


@pytest.mark.parametrize(
    "text", ["a: [1", "just words", "", "- 1", "\x00", "class: ConvTasNet"], ids=lambda text: repr(text)
)
def test_unreadable_card(saved: Path, text: str) -> None:
    (saved / "card.yaml").write_text(text)
    with pytest.raises(UserError, match=r"card\.yaml"):
        load_model(saved)


@pytest.mark.parametrize(
    "attack",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "!!python/object/new:subprocess.Popen [['touch', '{mark}']]",
        "!!python/name:os.system",
    ],
)
def test_a_card_cannot_run_code(saved: Path, tmp_path: Path, attack: str) -> None:
    mark = tmp_path / "mark"
    card = (saved / "card.yaml").read_text()
    (saved / "card.yaml").write_text(card + "note: " + attack.format(mark=mark) + "\n")
    with pytest.raises(UserError, match="could not determine a constructor"):
        load_model(saved)
    assert not mark.exists()


def test_card_without_gain_means_one(saved: Path) -> None:
    card = yaml.safe_load((saved / "card.yaml").read_text())
    del card["output_gain"], card["checksum"], card["weights_sha256"]
    (saved / "card.yaml").write_text(yaml.safe_dump(card))
    assert load_model(saved).output_gain == 1.0


def test_any_flipped_bit_in_the_weights_is_noticed(saved: Path) -> None:
    """40 places each in the header, the tensors and the end."""
    path = saved / "model.safetensors"
    data = path.read_bytes()
    random = np.random.default_rng(1)
    for first, last in ((0, 300), (300, len(data) - 300), (len(data) - 300, len(data))):
        for position in random.integers(first, last, 40).tolist():
            changed = bytearray(data)
            changed[position] ^= 1 << int(random.integers(8))
            path.write_bytes(changed)
            with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
                model_hash(saved)
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_model(saved)


@pytest.mark.parametrize("field", ["class", "settings", "sample_rate", "output_gain", "weights_sha256"])
def test_a_changed_card_is_refused_where_it_decides_and_nowhere_else(saved: Path, field: str) -> None:
    path = saved / "card.yaml"
    card = yaml.safe_load(path.read_text())
    described = {**card, "licences": {"weights": "CC BY 4.0"}, "note": "for the paper"}
    path.write_text(yaml.safe_dump(described))
    load_model(saved)
    others = {"class": "DPTNet", "settings": {**card["settings"], "blocks": 3}, "sample_rate": 8000,
              "output_gain": 0.7312, "weights_sha256": "0" * 64}  # fmt: skip
    path.write_text(yaml.safe_dump({**card, field: others[field]}))
    with pytest.raises(UserError, match=r"card\.yaml was changed since .* `checksum: edited`"):
        read_card(saved)


def test_a_gain_changed_on_purpose_is_taken(saved: Path) -> None:
    path = saved / "card.yaml"
    text = path.read_text()
    assert "write `checksum: edited`" in text
    path.write_text(yaml.safe_dump({**yaml.safe_load(text), "output_gain": 0.5, "checksum": "edited"}))
    assert load_model(saved).output_gain == 0.5


def test_a_model_from_before_checksums_is_taken(saved: Path) -> None:
    path = saved / "card.yaml"
    card = yaml.safe_load(path.read_text())
    del card["checksum"], card["weights_sha256"]
    path.write_text(yaml.safe_dump(card))
    load_model(saved)
