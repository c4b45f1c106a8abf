"""Evaluation on sets: the same for any number of workers, nothing lost, nothing half-written."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sedistill.audio.files import write
from sedistill.common.errors import UserError
from sedistill.evaluation import clip_scoring
from sedistill.evaluation import command as module
from sedistill.evaluation.command import evaluate, evaluate_models, kept_scores
from sedistill.evaluation.metric_process import ScoringProcess
from sedistill.evaluation.metrics import DEFAULT_METRICS, METRICS
from sedistill.evaluation.scores import NOISY, SetScores, load_scores
from sedistill.models.presets import build_model
from sedistill.models.saving import model_hash, save_model
from tests.evaluation.pairs import FAST, Halver, write_pairs
from tests.evaluation.signals import RATE, noise


@pytest.fixture(scope="module")
def evaluated(pairs: Path, student: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation with every metric of the default and two workers."""
    output = tmp_path_factory.mktemp("out") / "evaluation"
    evaluate_models([student], [pairs], output, workers=2)
    return output


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


@pytest.mark.parametrize("changes", [{"settings": {"mask": "relu"}}, {"output_gain": 0.5}])
def test_kept_scores_are_those_of_the_model_and_the_set_as_they_are_now(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that was edited on purpose is another model, with the same weights. A set may be a link."""
    save_model(build_model("convtasnet-tiny"), tmp_path / "model")
    write_pairs(tmp_path / "elsewhere", clips=1, seconds=0.6)
    (tmp_path / "set").symlink_to(tmp_path / "elsewhere")
    asked = tmp_path / "kept", [tmp_path / "model"], tmp_path / "set", ["si_sdr"]
    first = kept_scores(*asked)
    with monkeypatch.context() as patched:
        patched.setattr(module, "evaluate_models", None)  # nothing is to be scored again
        assert without_nan(kept_scores(*asked)) == without_nan(first)
    card = yaml.safe_load((tmp_path / "model/card.yaml").read_text())
    changed = {key: card[key] | value if key == "settings" else value for key, value in changes.items()}
    (tmp_path / "model/card.yaml").write_text(yaml.safe_dump({**card, **changed, "checksum": "edited"}))
    facts = kept_scores(*asked).facts["models"]["model"]
    assert facts != first.facts["models"]["model"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")
def test_names_that_are_no_text_are_scored_and_read_back(tmp_path: Path, student: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", clips=1, seconds=0.4)
    for side in ("noisy", "clean"):
        (pairs / side / "0.wav").rename(pairs / side / os.fsdecode(b"caf\xe9.wav"))
    evaluate_models([student], [pairs], tmp_path / "out", ["si_sdr"], workers=1)
    clips = [row.clip for row in load_scores(tmp_path / "out")["pairs"].clips]
    assert clips == [os.fsdecode(b"caf\xe9")] * 2


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
