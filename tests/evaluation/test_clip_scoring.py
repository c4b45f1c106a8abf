"""Clips and systems: every score or its reason, and nothing of the caller's changed."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sedistill.audio.files import write
from sedistill.evaluation import command as module
from sedistill.evaluation.command import evaluate
from sedistill.evaluation.scores import NOISY
from sedistill.models.presets import build_model
from tests.evaluation.pairs import FAST, Halver, write_pairs
from tests.evaluation.signals import RATE, noise


def test_level_correction_can_be_switched_off(pairs: Path) -> None:
    for correct_level in (True, False):
        scores = evaluate(Halver(), pairs, ["si_sdr"], workers=1, correct_level=correct_level)
        assert scores.facts["models"]["Halver"]["output_multiplied_by"] == (2.0 if correct_level else 1.0)
        assert scores.facts["level_correction"] == ("on" if correct_level else "off")


def test_a_model_for_another_rate_is_heard_through_resampling(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "narrow", clips=1, sample_rate=8000)
    scores = evaluate(Halver(), pairs, [*FAST, "pesq_wb", "pesq_nb"], workers=1)
    assert scores.mean("Halver", "si_sdr") == pytest.approx(scores.mean(NOISY, "si_sdr"), abs=0.5)
    assert scores.label("pesq_nb") == "PESQ-NB (8 kHz)"
    assert scores.clips[0].reasons == {"pesq_wb": "wide-band PESQ needs 16 kHz; the clip has 8000 Hz"}


def test_clips_without_a_score_are_kept_with_their_reason(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "holes", clips=3)
    write(pairs / "clean" / "1.wav", np.zeros(RATE, np.float32), RATE)
    write_with_nan(pairs / "noisy" / "2.wav", RATE)
    scores = evaluate(Halver(), pairs, FAST, workers=1)
    for model in (NOISY, "Halver"):
        statistic = scores.statistic(model, "stoi")
        assert (statistic.n, statistic.of) == (1, 3)
    reasons = {row.clip: row.reasons.get("stoi", "") for row in scores.clips if row.model == "Halver"}
    assert reasons["0"] == ""
    assert reasons["1"] == "the clean reference is silent"
    assert "noisy/2.wav holds nan at sample 8000" in reasons["2"]


def write_with_nan(path: Path, samples: int) -> None:
    """A float file with a NaN in the middle: its header is fine, so it is found only when it is scored."""
    broken = noise(samples)
    broken[samples // 2] = np.nan
    write(path, broken, RATE, "FLOAT")


def test_a_network_that_gives_nan_is_a_reason(pairs: Path) -> None:
    class Diverged(Halver):
        def forward(self, noisy: torch.Tensor) -> torch.Tensor:
            return noisy * torch.nan

    scores = evaluate(Diverged(), pairs, ["si_sdr"], workers=1)
    assert scores.statistic("Diverged", "si_sdr").n == 0
    assert scores.statistic(NOISY, "si_sdr").n == 3
    assert "the model gave NaN" in scores.clips[-1].reasons["si_sdr"]


def test_the_mixing_table_gives_snr_and_noise_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = write_pairs(tmp_path / "mixed", clips=2)

    class Mixed(module.FixedSet):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            self.snr_db = np.array([-3.25, np.nan])
            self.noise_classes = np.array([b"babble", b""])

    monkeypatch.setattr(module, "FixedSet", Mixed)
    first, second = evaluate(Halver(), pairs, ["si_sdr"], workers=1).clips[:2]
    assert (first.snr_db, first.noise_class) == (-3.25, "babble")
    assert 5 < second.snr_db < 40  # not in the table: measured


def test_scores_carry_the_recordings_of_each_clip(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", clips=3, seconds=0.4)
    shutil.copy(pairs / "clean" / "0.wav", pairs / "clean" / "2.wav")
    rows = evaluate(Halver(), pairs, ["si_sdr"], workers=1).clips
    assert rows[0].utterance == rows[2].utterance == rows[3].utterance
    assert rows[0].utterance.startswith("sha256 ")
    assert rows[1].utterance != rows[0].utterance
    assert {row.noise_recording for row in rows} == {""}


def test_clips_of_one_name_in_two_folders_are_two_clips(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", clips=2, seconds=0.4)
    for side in ("noisy", "clean"):
        for index in (0, 1):
            (pairs / side / str(index)).mkdir()
            (pairs / side / f"{index}.wav").rename(pairs / side / str(index) / "same.wav")
    rows = evaluate(Halver(), pairs, ["si_sdr"], workers=1).clips
    assert [row.clip for row in rows] == ["0/same", "1/same"] * 2
    assert rows[0].values != rows[1].values


def test_the_callers_network_and_torch_are_left_as_they_were(pairs: Path) -> None:
    network = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 1, 1), nn.Dropout(0.5), nn.Flatten())
    network.sample_rate = RATE  # type: ignore[assignment]
    network.double().train()
    network[2].eval()
    network[1].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    threads, drawn = torch.get_num_threads(), torch.get_rng_state()
    errors, random = np.geterr(), np.random.get_state()[1].copy()
    evaluate(network, pairs, FAST, workers=2)
    assert [module.training for module in network.modules()] == [True, True, True, False, True]
    assert [parameter.requires_grad for parameter in network.parameters()] == [False, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert {(p.device.type, p.dtype) for p in network.parameters()} == {("cpu", torch.float64)}
    assert (torch.get_num_threads(), np.geterr()) == (threads, errors)
    assert torch.equal(torch.get_rng_state(), drawn)
    np.testing.assert_array_equal(np.random.get_state()[1], random)


def test_evaluations_side_by_side_give_torchs_threads_back(pairs: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(evaluate, Halver(), pairs, ["si_sdr"], 1) for _ in range(2)]
            assert all(one.result().mean(NOISY, "si_sdr") > 0 for one in both)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_samples_that_are_too_large_are_a_reason_of_their_own(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", clips=1, seconds=0.5)
    write(pairs / "noisy" / "0.wav", 3e38 * np.sign(noise(RATE // 2)), RATE, "FLOAT")
    network = build_model("convtasnet-tiny")
    row = evaluate(network, pairs, FAST, workers=1).clips[1]
    assert set(row.reasons) == set(FAST)
    assert "reaches 3e+38, where full scale is 1" in row.reasons["si_sdr"]


ALONE = ["noise_only_db", "do_no_harm"]


class Counting(Halver):
    """The input times a factor; counts what it hears."""

    def __init__(self, factor: float, output_gain: float = 1.0) -> None:
        super().__init__()
        self.factor, self.output_gain, self.heard = factor, output_gain, 0

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        self.heard += 1
        return self.factor * noisy


def test_noise_alone_and_clean_alone_by_hand_made_systems(pairs: Path) -> None:
    def means(network: nn.Module) -> list[float]:
        scores = evaluate(network, pairs, ALONE, workers=1)
        assert scores.statistic(NOISY, "noise_only_db").n == 3
        assert scores.mean(NOISY, "noise_only_db") == 0
        assert scores.mean(NOISY, "do_no_harm") == pytest.approx(4.644, abs=0.001)
        return [scores.mean("Counting", name) for name in ALONE]

    assert means(Counting(1.0)) == pytest.approx([0, 4.644], abs=0.001)
    assert means(Counting(0.5)) == pytest.approx([-6.0206, 4.644], abs=0.001)  # PESQ aligns levels
    assert means(Counting(0.5, output_gain=2.0)) == pytest.approx([0, 4.644], abs=0.001)
    residue, harm = means(Counting(0.0))
    assert residue == -60
    assert np.isnan(harm)


def test_a_network_hears_every_input_that_is_needed_once(pairs: Path) -> None:
    for metrics, passes in (
        (["si_sdr", "stoi"], 1), (["noise_only_db"], 1), (["stoi", *ALONE, "si_sdr"], 3),
    ):  # fmt: skip
        network = Counting(1.0)
        scores = evaluate(network, pairs, metrics, workers=1)
        assert network.heard == 3 * passes
        assert list(scores.clips[-1].values) == metrics


def test_a_network_that_fails_on_noise_alone_keeps_its_other_scores(pairs: Path) -> None:
    class FailsOnQuiet(Halver):
        def forward(self, noisy: torch.Tensor) -> torch.Tensor:
            return noisy if noisy.std() > 0.03 else noisy * torch.nan

    scores = evaluate(FailsOnQuiet(), pairs, ["stoi", "noise_only_db"], workers=1)
    row = scores.clips[-1]
    assert np.isfinite(row.values["stoi"])
    assert "the model gave NaN" in row.reasons["noise_only_db"]


def test_pairs_without_noise_have_no_residue(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "same", clips=1)
    shutil.copy(pairs / "clean" / "0.wav", pairs / "noisy" / "0.wav")
    row = evaluate(Halver(), pairs, ALONE, workers=1).clips[-1]
    assert row.reasons == {"noise_only_db": "the noise is silent"}
