"""Several teachers in one run: live and kept, with every objective over signals."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import yaml

from sedistill import DISPatch, MagnitudeL2, SISNRTarget
from sedistill.analyzing.command import analyze
from sedistill.common.errors import UserError
from sedistill.common.settings import load_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.distill.several import Several
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, read_card, save_model
from sedistill.training.patch_record.record import read_patch_record
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from sedistill.training.tasks import Task
from sedistill.training.teaching.chosen_teachers import count_chosen, read_chosen, shares
from sedistill.training.teaching.own_teachers import bandwidth
from tests.training.conftest import TINY_NETWORK

OBJECTIVES = [
    {"loss": "l2"},
    {"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"},
    {"loss": "l1", "gate": "teacher_over_noisy"},
    {"loss": "si_snr"},
    {"loss": "clean_and_noise"},
    {"loss": "kl"},
    {"loss": "subband", "target": "teacher"},
]


@pytest.fixture
def teachers(world: Path) -> dict[str, str]:
    """Two saved models."""
    torch.manual_seed(7)
    save_model(build_model({**TINY_NETWORK, "filters": 10}), world / "other", {"output_gain": -1.1})
    return {"a": str(world / "teacher"), "b": str(world / "other")}


@pytest.fixture
def run(world: Path, write_recipe: Callable[..., Path]) -> Callable[..., Path]:
    """Train for an epoch; returns the run's folder."""

    def trained(name: str, **keys: Any) -> Path:
        recipe = write_recipe(name, **{"optimiser": {"batch_size": 4, "max_epochs": 1}, **keys})
        return train(recipe, output=world / name).parent

    return trained


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "student").state_dict()


@pytest.mark.parametrize("rule", ["best", "mean", "bands"])
def test_one_teacher_twice_trains_the_same_student(run: Callable, world: Path, rule: str) -> None:
    keys = {"objectives": OBJECTIVES}
    one = run("one", teacher=str(world / "teacher"), **keys)
    edges = {"several_edges_hz": [3_000]} if rule == "bands" else {}
    twice = {"a": str(world / "teacher"), "b": str(world / "teacher")}
    two = run("two", teachers=twice, several=rule, **edges, **keys)
    for name, weight in weights(one).items():
        torch.testing.assert_close(weights(two)[name], weight, atol=2e-4, rtol=1e-2)


@pytest.mark.parametrize("rule", ["best", "mean"])
def test_kept_and_live_teach_the_same(run: Callable, world: Path, teachers: dict, rule: str) -> None:
    keys = {"teachers": teachers, "several": rule, "objectives": OBJECTIVES[:4]}
    kept, live = run("kept", **keys), run("live", teacher_use={"cache": "never"}, **keys)
    assert len(list((world / "train" / "teacher-outputs").iterdir())) == 2  # each by its own hash
    logged, of_kept = read_metrics(live), read_metrics(kept)
    for name in logged:
        if name.startswith("kd/"):
            assert of_kept[name][0][1] == pytest.approx(logged[name][0][1], rel=1e-4)
    chosen = {name for name in logged if "chosen" in name}
    names = ("l2", "dfkd+dispatch+mssp", "l1+teacher_over_noisy", "teacher")
    assert chosen == ({f"{one}/chosen_{n}" for one in names for n in "ab"} if rule == "best" else set())
    for one in chosen and names:
        assert logged[f"{one}/chosen_a"][0][1] + logged[f"{one}/chosen_b"][0][1] == pytest.approx(1)


def test_what_is_said_of_them(run: Callable, teachers: dict, capsys: pytest.CaptureFixture) -> None:
    record = {"clips": 2, "every_steps": 1}
    folder = run("run", teachers=teachers, objectives=[OBJECTIVES[1]], patch_record=record)
    told = capsys.readouterr().out
    assert "whoever of a, b is nearest to the clean speech" in " ".join(told.split())
    assert told.count("worse than the noisy input") == 2
    assert read_card(folder / "student")["training"]["several"] == "best"
    models = yaml.safe_load((folder / "identity.yaml").read_text())["models"]
    assert set(models) == {"teachers.a", "teachers.b"}
    assert read_patch_record(folder).selections == 3
    rows = read_chosen(folder)
    assert {row.teacher for row in rows} == {"a", "b"}
    assert sum(row.chosen for row in rows) == sum(row.bins for row in rows if row.teacher == "a") > 0
    for by in ("band_hz", "snr_db"):
        assert all(sum(of_group.values()) == pytest.approx(1) for of_group in shares(rows, by).values())
    assert "dfkd+dispatch+mssp: nearest to the clean speech is a in " in told
    analyze([folder], folder.parent / "page")
    page = (folder.parent / "page" / "analysis.html").read_text()
    assert "The nearest teacher" in page
    assert page.count("By frequency (Hz)") == page.count("By SNR of the clip (dB)") == 1


def test_a_run_goes_on_with_no_other_teachers(
    run: Callable, world: Path, teachers: dict, capsys: pytest.CaptureFixture
) -> None:
    run("run", teachers=teachers, objectives=[{"loss": "l2"}])
    torch.manual_seed(8)
    save_model(build_model({**TINY_NETWORK, "filters": 10}), world / "other", {}, overwrite=True)
    with pytest.raises(UserError, match=r"teachers\.b"):
        run("run", teachers=teachers, objectives=[{"loss": "l2"}])


def test_a_run_goes_on_with_the_same_bands_wherever_the_teachers_lie(
    run: Callable, world: Path, teachers: dict
) -> None:
    keys = {"several": "bands", "several_edges_hz": [2_000], "objectives": [{"loss": "l2"}]}
    folder = run("run", teachers=teachers, **keys)
    shutil.copytree(world / "other", world / "elsewhere")
    assert run("run", teachers={**teachers, "b": str(world / "elsewhere")}, **keys) == folder
    with pytest.raises(UserError, match=r"other settings .*teachers' bands"):
        run("run", teachers=dict(reversed(teachers.items())), **keys)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"several": "mean"}, "are about `teachers`"),
        ({"teacher": "x", "teachers": {"a": "x"}}, "both given"),
        ({"teachers": {"a": "x", "b": "y"}, "several": "bands"}, "needs 1 edges, not 0"),
        ({"teachers": {"a": "x"}, "several_edges_hz": [300]}, "belongs to several: bands"),
        ({"teachers": {"a/b": "x"}}, "no name"),
        ({"teachers": {"a": {"onnx": "x", "rat": 5}}}, "rat"),
        ({"teachers": {"a": "x"}, "objectives": [{"loss": "gram", "pairs": [["x", "x"]]}]}, "looks into one"),
        ({"teachers": {"a": "x"}, "kdrl": {}}, "kdrl needs a teacher"),
    ],
)
def test_what_cannot_be_meant_is_refused(write_recipe: Callable, keys: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_settings(Recipe, write_recipe("run", **keys))


def test_edges_above_the_data_are_refused(run: Callable, teachers: dict) -> None:
    with pytest.raises(UserError, match="several_edges_hz: edges of 9000 Hz"):
        run("run", teachers=teachers, several="bands", several_edges_hz=[9_000], objectives=[{"loss": "l2"}])


def test_the_bandwidth_of_several() -> None:
    class Source:
        def __init__(self, bandwidth: float) -> None:
            self.name, self.bandwidth = "dull", bandwidth

    dull, whole = Source(0.5), Source(1.0)
    both: Any = {"a": dull, "b": whole}
    assert bandwidth(Several("best"), both) == bandwidth(Several("bands", [4_000.0]), both) == 1
    assert bandwidth(Several("mean"), both) == bandwidth(None, {"a": dull}) == 0.5  # type: ignore[dict-item]
    assert bandwidth(None, {}) == 1
    with pytest.raises(UserError, match="dull knows nothing above 4000 Hz, but its band goes to 5000"):
        bandwidth(Several("bands", [5_000.0]), both)


def test_bands_are_given_in_the_order_of_the_recipe() -> None:
    names = [f"teachers.{letter}" for letter in "ebdac"]
    teachers = dict.fromkeys(names, lambda noisy: noisy)
    several = Several("bands", [100.0, 200.0, 300.0, 400.0])
    kd = {"l2": (1.0, DISPatch(MagnitudeL2()))}
    task = Task(lambda x: x, None, 0.0, kd, 1.0, teachers, None, several=several)  # type: ignore[arg-type]
    wave = torch.randn(1, 400)
    estimates = dict.fromkeys(sorted(names), wave)  # some kept, some live
    signals = task.signals({"noisy": wave, "clean": wave}, wave, estimates)
    assert list(task.own_of(signals)) == list("ebdac")


def test_which_is_nearest_is_counted_by_frequency_and_snr(tmp_path: Path) -> None:
    """Of clips at 2 and 12 dB: one teacher is right below 2 kHz, the other above it."""
    random = np.random.default_rng(0)

    def half(wave: np.ndarray, low: bool) -> np.ndarray:
        spectrum = np.fft.rfft(wave)
        edge = len(spectrum) // 4
        spectrum[slice(edge, None) if low else slice(edge)] *= 0.1
        return np.fft.irfft(spectrum, len(wave)).astype(np.float32)

    class Knows:
        def __init__(self, low: bool) -> None:
            self.low = low

        def on_clip(self, clips: FixedSet, index: int, device: torch.device) -> np.ndarray:
            return half(clips[index][1], self.low)

    for index, snr in enumerate((2, 12)):
        clean = 0.1 * random.standard_normal(16_000)
        noisy = clean + 0.1 * 10 ** (-snr / 20) * random.standard_normal(16_000)
        for kind, sound in (("clean", clean), ("noisy", noisy)):
            path = tmp_path / kind / f"{index}.wav"
            path.parent.mkdir(exist_ok=True)
            sf.write(path, sound.astype(np.float32), 16_000, subtype="FLOAT")
    kd = {"l2": (1.0, DISPatch(MagnitudeL2())), "si_snr": (1.0, SISNRTarget())}
    several = Several("best")
    teachers: Any = {"teachers.low": Knows(True), "teachers.high": Knows(False)}
    task = Task(lambda x: x, None, 0.0, kd, 1.0, teachers, None, several=several)  # type: ignore[arg-type]
    rows = count_chosen(task, teachers, FixedSet(tmp_path), torch.device("cpu"))
    for objective in ("l2", "si_snr"):
        own = [row for row in rows if row.objective == objective]
        assert set(shares(own, "snr_db")) == {"0 to 5", "10 to 15"}
        low = {band: of["low"] for band, of in shares(own, "band_hz").items()}
        assert list(low) == ["0 to 500", "500 to 1000", "1000 to 2000", "2000 to 4000", "4000 to 8000"]
        assert min(low["0 to 500"], low["500 to 1000"]) > 0.95
        assert low["4000 to 8000"] < 0.05
