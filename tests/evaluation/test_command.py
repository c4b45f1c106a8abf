"""Evaluation on sets: the same for any number of workers, nothing lost, nothing half-written."""

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sedistill.audio.files import write
from sedistill.common.errors import UserError
from sedistill.evaluation import clip_scoring
from sedistill.evaluation import command as module
from sedistill.evaluation.command import evaluate, evaluate_models
from sedistill.evaluation.labels import distinct_labels, file_names
from sedistill.evaluation.metric_process import ScoringProcess
from sedistill.evaluation.metrics import DEFAULT_METRICS, METRICS
from sedistill.evaluation.scores import NOISY, SetScores, load_scores
from sedistill.models.presets import build_model
from sedistill.models.saving import model_hash, save_model
from tests.evaluation.signals import RATE, noise, speech_like

FAST = ["stoi", "si_sdr"]


def write_pairs(folder: Path, clips: int = 3, sample_rate: int = RATE, seconds: float = 1.0) -> Path:
    for index in range(clips):
        clean = speech_like(seconds, seed=index, sample_rate=sample_rate)
        noisy = clean + noise(len(clean), level=0.005 * (index + 1), seed=100 + index)
        write(folder / "clean" / f"{index}.wav", clean, sample_rate)
        write(folder / "noisy" / f"{index}.wav", noisy, sample_rate)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("sets") / "street")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "student"
    save_model(build_model("convtasnet-tiny"), folder, {"output_gain": -0.5})
    return folder


@pytest.fixture(scope="module")
def evaluated(pairs: Path, student: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation with every metric of the default and two workers."""
    output = tmp_path_factory.mktemp("out") / "evaluation"
    evaluate_models([student], [pairs], output, workers=2)
    return output


class Halver(nn.Module):
    """The input at half its level."""

    sample_rate = RATE
    output_gain = 2.0

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        return noisy / 2


def without_nan(scores: SetScores) -> list[tuple[str, str, dict[str, float], dict[str, str]]]:
    return [(row.model, row.clip, row.values, row.reasons) for row in scores.clips]


def test_one_worker_or_two_give_the_same_numbers(evaluated: Path, pairs: Path, student: Path) -> None:
    parallel = load_scores(evaluated)["street"]
    serial = evaluate(student, pairs, workers=1)
    assert without_nan(parallel) == without_nan(serial)
    assert parallel.models == [NOISY, "student"]
    assert parallel.metrics == list(DEFAULT_METRICS)


def test_values_are_those_of_the_metrics_on_the_enhanced_clips(
    evaluated: Path, pairs: Path, student: Path
) -> None:
    from sedistill import enhance
    from sedistill.audio.files import read_mono

    scores = load_scores(evaluated)["street"]
    for row in scores.clips:
        clean, noisy = (read_mono(pairs / side / f"{row.clip}.wav", RATE) for side in ("clean", "noisy"))
        estimate = noisy if row.model == NOISY else enhance(student, noisy, RATE)
        for name in DEFAULT_METRICS:
            assert row.values[name] == pytest.approx(METRICS[name].value(clean, estimate, RATE), abs=1e-5)


def test_everything_says_what_was_measured(evaluated: Path, pairs: Path, student: Path) -> None:
    assert sorted(path.name for path in (evaluated / "street").iterdir()) == [
        "clips.csv", "evaluation.yaml", "summary.csv", "summary.md",
    ]  # fmt: skip
    facts = load_scores(evaluated)["street"].facts
    assert facts["level_correction"] == "on"
    assert facts["models"]["student"]["output_multiplied_by"] == -0.5
    assert facts["models"]["student"]["hash"] == model_hash(student)
    assert facts["metrics"]["pesq_nb"] == "PESQ-NB (16 kHz)"
    assert len(facts["set"]["hash"]) == 64
    assert facts["set"]["snr"] == "measured on active levels"
    assert "sedistill" in facts["made_by"]["versions"]
    assert facts["made_by"]["hashes"] == {"set": facts["set"]["hash"], "student": model_hash(student)}
    text = (evaluated / "street" / "summary.md").read_text()
    for fact in ("PESQ-NB (16 kHz)", "n = 3 clips", "level_correction", facts["set"]["hash"]):
        assert fact in text


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
    assert "noisy/2.wav: sample 8000 is nan" in reasons["2"]


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


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")
def test_names_that_are_no_text_are_scored_and_read_back(tmp_path: Path, student: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", clips=1, seconds=0.4)
    for side in ("noisy", "clean"):
        (pairs / side / "0.wav").rename(pairs / side / os.fsdecode(b"caf\xe9.wav"))
    evaluate_models([student], [pairs], tmp_path / "out", ["si_sdr"], workers=1)
    clips = [row.clip for row in load_scores(tmp_path / "out")["pairs"].clips]
    assert clips == [os.fsdecode(b"caf\xe9")] * 2


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
    assert "its samples reach 3e+38, where full scale is 1" in row.reasons["si_sdr"]


def test_labels_are_names_or_what_tells_the_paths_apart(tmp_path: Path) -> None:
    def labels(*places: str, taken: str = "") -> list[str]:
        return distinct_labels([tmp_path / place for place in places], "model", taken)

    assert labels("a/student") == ["student"]
    assert labels("a/student", "b/teacher") == ["student", "teacher"]
    assert labels("runs/a/seed-0/student", "runs/b/seed-0/student") == ["a", "b"]
    assert labels("runs/a/seed-0/student", "runs/b/seed-1/student") == ["a/seed-0", "b/seed-1"]
    assert labels("runs/a/0/x/student", "runs/b/1/x/best") == ["student", "best"]
    assert labels("runs/a/seed-0/student", "runs/a/seed-1/student") == ["seed-0", "seed-1"]
    assert labels("student", "deeper/student") == ["student", "deeper/student"]
    assert labels("a/student", "b/student", "a/teacher") == ["a/student", "b/student", "a/teacher"]
    assert labels(f"x/{NOISY}", taken=NOISY) == [f"x/{NOISY}"]
    assert labels(f"{NOISY}/m", "b/m", taken=NOISY) == [f"{NOISY}/m", "b/m"]
    deep = labels(f"{NOISY}/seed-0/student", "b/seed-0/student", taken=NOISY)
    assert deep == [f"{NOISY}/seed-0/student", "b/seed-0/student"]
    assert file_names(["a/b", "a-b", "a-b-2", "c"]) == ["a-b", "a-b-2", "a-b-2-2", "c"]


def test_a_folder_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="named twice"):
        distinct_labels([tmp_path / "a", tmp_path / "a"], "model")


def test_several_sets_and_models_of_equal_names(tmp_path: Path) -> None:
    sets = [write_pairs(tmp_path / place / "test", clips=1, seconds=0.6) for place in ("one", "two")]
    models = [tmp_path / place / "student" for place in ("alone", "distilled")]
    for model in models:
        save_model(build_model("convtasnet-tiny"), model)
    results = evaluate_models(models, sets, tmp_path / "out", ["si_sdr"], workers=1)
    assert list(results) == ["one", "two"]
    assert set(load_scores(tmp_path / "out")) == {"one", "two"}
    assert results["one"].models == [NOISY, "alone", "distilled"]


def test_bad_input_is_one_sentence_before_anything_is_computed(
    pairs: Path, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "score_set", None)  # whoever gets as far as this fails
    empty = tmp_path / "empty"
    (empty / "noisy").mkdir(parents=True)
    lonely = write_pairs(tmp_path / "lonely", clips=2)
    (lonely / "clean" / "1.wav").unlink()
    uneven = write_pairs(tmp_path / "uneven", clips=1)
    write(uneven / "noisy" / "0.wav", noise(100), RATE)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("all of it")
    output = tmp_path / "out"

    def refused(
        match: str, model: Path = student, on: Path = pairs, out: Path = output, **options: object
    ) -> None:
        with pytest.raises(UserError, match=match):
            evaluate_models([model], [on], out, **options)  # type: ignore[arg-type]

    refused("is not a saved model", model=tmp_path / "nowhere")
    refused("does not exist", on=tmp_path / "nowhere")
    refused("clean does not exist", on=empty)
    refused("has no partner", on=lonely)
    refused("must agree", on=uneven)
    refused("unknown metric stio; did you mean stoi", metrics=["stio"])
    refused("workers = 0", workers=0)
    refused("exists already", out=taken)
    refused("is not an earlier output of this kind", out=taken, overwrite=True)
    assert (taken / "thesis.txt").exists()
    assert not output.exists()


def test_an_earlier_evaluation_is_replaced_only_when_told(pairs: Path, student: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    evaluate_models([student], [pairs], output, ["si_sdr"], workers=1)
    with pytest.raises(UserError, match="exists already"):
        evaluate_models([student], [pairs], output, ["si_sdr"], workers=1)
    evaluate_models([student], [pairs], output, ["stoi"], workers=1, overwrite=True)
    assert load_scores(output)["street"].metrics == ["stoi"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interruption_leaves_no_file_and_no_process(
    error: type[BaseException], pairs: Path, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []
    start = ScoringProcess._start

    def noted_start(self: ScoringProcess) -> None:
        start(self)
        pids.append(self._process.pid)

    def interrupted(*_: object) -> None:
        if pids:  # and not while pairs are looked at before
            raise error

    monkeypatch.setattr(ScoringProcess, "_start", noted_start)
    monkeypatch.setattr(clip_scoring.ProgressBar, "advance", interrupted)
    threads = torch.get_num_threads()
    with pytest.raises(error):
        evaluate_models([student], [pairs], tmp_path / "out", ["si_sdr"], workers=2)
    assert list(tmp_path.iterdir()) == []
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("metrics", [FAST, [*FAST, "seg_snr"]])
def test_the_table_is_printed(
    metrics: list[str], pairs: Path, student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_models([student], [pairs], tmp_path / "out", metrics, workers=1, show=True)
    printed = capsys.readouterr().out
    for expected in ("street", "noisy", "student", "STOI", "SI-SDR, dB", "n = 3 clips", "student x -0.5"):
        assert expected in printed


@pytest.mark.real_data
def test_the_published_scores_of_real_noisy_files(real_data: Path) -> None:
    folder = real_data / "pairs" / "vbdemand_test"
    scores = evaluate(Halver(), folder, ["pesq_wb", "stoi", "si_sdr"])
    assert scores.mean(NOISY, "pesq_wb") == pytest.approx(2.192, abs=1e-3)
    assert scores.mean(NOISY, "stoi") == pytest.approx(0.932, abs=1e-3)
    assert scores.mean(NOISY, "si_sdr") == pytest.approx(8.19, abs=1e-2)
    assert scores.mean("Halver", "pesq_wb") == pytest.approx(2.192, abs=1e-3)


def test_an_offset_on_clean_or_noisy_files_is_told(tmp_path: Path) -> None:
    clean = speech_like(1.0)
    noisy = clean + noise(len(clean), level=0.01, seed=1)
    for name, of_clean, of_noisy in (("a", 0.0, 0.0), ("b", -0.1, -0.1), ("c", 0.0, 0.05)):
        write(tmp_path / f"clean/{name}.wav", clean + of_clean, RATE)
        write(tmp_path / f"noisy/{name}.wav", noisy + of_noisy, RATE)
    of_clean, of_noisy = module.offset_warning(module.FixedSet(tmp_path))
    assert of_clean.startswith("Warning: 1 of 3 clean files have an offset")
    assert "of full scale, b.wav; SI-SDR" in of_clean
    assert of_noisy.startswith("Warning: 2 of 3 noisy files have an offset")
    assert "b.wav" in of_noisy


def test_slow_rumble_is_no_offset(tmp_path: Path) -> None:
    clean = speech_like(1.0)
    rumble = 0.1 * np.sin(2 * np.pi * 0.7 * np.arange(len(clean)) / RATE)  # its mean over this clip is not 0
    write(tmp_path / "clean/a.wav", clean + rumble, RATE)
    write(tmp_path / "noisy/a.wav", clean + rumble + noise(len(clean), level=0.01, seed=1), RATE)
    assert list(module.offset_warning(module.FixedSet(tmp_path))) == []


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
