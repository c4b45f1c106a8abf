"""How results came about is told in one form, by files and pages alike."""

import sys
from pathlib import Path

import pytest
import yaml

import sedistill
from sedistill.common.provenance import Provenance, command_line
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, save_model
from tests.training.conftest import TINY_NETWORK


def test_a_record_holds_what_it_takes_to_make_the_same_again() -> None:
    made_by = Provenance.now(("numpy",), seeds=[3], hashes={"set": "ab" * 32, "teacher": None})
    assert list(made_by.versions) == ["sedistill", "python", "numpy"]
    assert made_by.versions["sedistill"] == sedistill.__version__
    assert made_by.facts()["made_by"]["hashes"] == {"set": "ab" * 32}
    lines = dict(made_by.lines())
    assert list(lines) == ["seeds", "hashes", "hardware", "versions", "command"]
    assert (lines["seeds"], lines["hashes"]) == ("3", "set abababababab")
    assert "core" in lines["hardware"]


def test_what_is_not_known_is_not_shown() -> None:
    assert Provenance(command="sedistill mix").lines() == [("command", "sedistill mix")]
    assert Provenance(command="sedistill mix").facts() == {"made_by": {"command": "sedistill mix"}}


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/usr/bin/sedistill", "mix", "my corpus"], "sedistill mix 'my corpus'"),
        (["/lib/sedistill/__main__.py", "train"], "sedistill train"),
        (["C:/Scripts/sedistill.exe", "demo"], "sedistill demo"),
    ],
)
def test_the_command_is_as_it_was_given(
    argv: list[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == command


def test_a_card_of_an_earlier_version_still_loads(tmp_path: Path) -> None:
    training = {"seed": 7, "data_hash": "d" * 64, "teacher_hash": None}
    save_model(build_model(TINY_NETWORK), tmp_path / "model", {"training": training})
    card = yaml.safe_load((tmp_path / "model/card.yaml").read_text())
    assert card["made_by"]["seeds"] == [7]
    assert card["made_by"]["hashes"] == {"data": "d" * 64}
    card["versions"] = card.pop("made_by")["versions"]
    (tmp_path / "model/card.yaml").write_text(yaml.safe_dump(card))
    assert load_model(tmp_path / "model").card["versions"]["sedistill"] == sedistill.__version__
