"""KDRL's settings, its file of ratios, and going on after an interruption."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.training.kdrl.kdrl_settings import KDRLSettings
from sedistill.training.kdrl.ratio_log import RatioLog, read_ratios
from sedistill.training.kdrl.step import KDRLStep
from tests.training.kdrl.example import STUDENTS, make_batch, make_step, make_student


def test_the_defaults_are_the_papers() -> None:
    settings = KDRLSettings()
    assert (settings.method, settings.direction, settings.reference_optimiser) == ("C", "intent", "copied")
    assert (settings.policy_learning_rate, settings.policy_learning_rate_end) == (1e-6, 1e-8)
    assert settings.fixed_ratio is None
    assert KDRLSettings(method="fixed").fixed_ratio == 0.75
    assert (settings.floor_for("mse"), settings.floor_for("si_snr")) == (1e-8, 1.0)
    assert KDRLSettings(floor=0.1).floor_for("mse") == 0.1


def test_settings_survive_being_written_down() -> None:
    for settings in (KDRLSettings(), KDRLSettings(method="fixed", ratio=0.5)):
        assert KDRLSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ratio": 0.5}, "ratio belongs to method: fixed"),
        ({"method": "fixed", "direction": "printed"}, "direction belongs to methods A, B and C"),
        ({"method": "fixed", "policy_learning_rate": 1e-4}, "policy_learning_rate belongs"),
        ({"policy_learning_rate": 1e-9}, "must not be above policy_learning_rate"),
        ({"method": "D"}, "method = D"),
        ({"method": "fixed", "ratio": 1.5}, "ratio = 1.5"),
        ({"policy_input_length": 40}, "policy_input_length = 40"),
        ({"floor": 0}, "floor = 0"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check_settings(KDRLSettings, changes, "recipe")


def test_the_distance_is_the_students_own_or_the_one_named() -> None:
    assert KDRLSettings().distance_for("mse") == "mse"
    assert KDRLSettings().distance_for("si_snr") == "si_snr"
    assert KDRLSettings(distance="mse").distance_for("manner") == "mse"
    with pytest.raises(UserError, match=r"distance = own: .*'manner'.* choose mse or si_snr"):
        KDRLSettings().distance_for("manner")


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def run(step: KDRLStep, first: int, last: int) -> None:
    for number in range(first, last):
        step(make_batch(number), number % 2 == 0)
        step.log_clips(number + 1)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(
    "settings",
    [
        {}, {"method": "A", "reference_optimiser": "own"}, {"reference_optimiser": "fresh"},
        {"method": "fixed"},
    ],
    ids=str,
)  # fmt: skip
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    whole = make_step(make_student(name), tmp_path / "whole", **settings)
    run(whole, 0, 5)

    stopped = make_step(make_student(name), tmp_path / "stopped", **settings)
    run(stopped, 0, 3)
    parts = {"student": stopped.student, "optimiser": stopped.optimiser, "step": stopped}
    saved = through_a_file({key: part.state_dict() for key, part in parts.items()})
    run(stopped, 3, 4)  # work that is lost

    torch.manual_seed(12345)
    resumed = make_step(STUDENTS[name]().train(), tmp_path / "stopped", seed=7, **settings)
    resumed.student.load_state_dict(saved["student"])
    resumed.optimiser.load_state_dict(saved["optimiser"])
    resumed.load_state_dict(saved["step"])
    run(resumed, 3, 5)

    assert same_state(whole.student.state_dict(), resumed.student.state_dict())
    assert same_state(whole.state_dict(), resumed.state_dict())
    ratios = [tmp_path / kind / "ratios.csv" for kind in ("whole", "stopped")]
    if settings.get("method") == "fixed":
        assert not any(path.exists() for path in ratios)
    else:
        assert ratios[0].read_text() == ratios[1].read_text()


def same_state(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same_state(x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_the_ratios_of_the_latest_batch_are_written(tmp_path: Path) -> None:
    step = make_step(make_student("wave-u-net"), tmp_path)
    step(make_batch(0), False)
    log = step(make_batch(4), False)
    step.log_clips(2)
    steps, clips, ratios = read_ratios(tmp_path / "ratios.csv")
    assert steps.tolist() == [2, 2, 2]
    assert clips.tolist() == [40, 41, 42]
    assert ratios.mean() == pytest.approx(float(log["ratio/mean"]), abs=1e-6)
    assert ratios.std() == pytest.approx(float(log["ratio/deviation"]), rel=1e-2)


def test_a_resumed_log_forgets_lost_rows_and_half_written_ones(tmp_path: Path) -> None:
    path = tmp_path / "ratios.csv"
    log = RatioLog(path)
    for step in (20, 40, 60):
        log.write(step, torch.tensor([3, 5]), torch.tensor([0.25, 0.5]) * step / 20)
    with path.open("a") as file:
        file.write("80,3")
    RatioLog(path, first_step=40).write(60, torch.tensor([4]), torch.tensor([0.125]))
    steps, clips, ratios = read_ratios(path)
    assert steps.tolist() == [20, 20, 40, 40, 60]
    assert clips.tolist() == [3, 5, 3, 5, 4]
    np.testing.assert_allclose(ratios, [0.25, 0.5, 0.5, 1.0, 0.125])
    assert path.read_text().splitlines()[0] == "step,clip,ratio"


def test_a_fresh_run_starts_an_empty_log(tmp_path: Path) -> None:
    RatioLog(tmp_path / "ratios.csv").write(1, torch.tensor([0]), torch.tensor([0.5]))
    RatioLog(tmp_path / "ratios.csv")
    assert [len(column) for column in read_ratios(tmp_path / "ratios.csv")] == [0, 0, 0]
