"""What networks cost: each number is of what it says, and the command tells all of them."""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch

from sedistill import build_model, save_model
from sedistill.common.errors import UserError
from sedistill.common.extensions import trusting_code
from sedistill.common.report.printing import fitting
from sedistill.workflows.benchmarking import command, processes, runners, timed_job
from sedistill.workflows.benchmarking.cases import cases_of, subjects_of
from sedistill.workflows.benchmarking.measurements import Benchmark, Row
from sedistill.workflows.benchmarking.report_text import benchmark_tables, sentences
from sedistill.workflows.benchmarking.timed_job import Costs, Job, costs_of
from tests.evaluation.test_command import write_pairs

TINY = {"class": "FastEnhancer", "channels": 4, "convolutions": 1, "units": 4, "bands": 3, "blocks": 1}


@pytest.fixture(autouse=True)
def threads_and_garbage_as_they_were() -> object:
    import gc

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    gc.unfreeze()


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("benchmarked") / "tiny"
    save_model(build_model(TINY), folder)
    return folder


@pytest.fixture(scope="session")
def exported(saved: Path) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from sedistill import export

    export(saved, saved.parent / "tiny.onnx")
    return saved.parent / "tiny.onnx"


def job(way: str, model: object, threads: int = 1) -> Job:
    return Job(way, str(model), threads, 0.1, 2)


def wait(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_fastest_round_and_every_step_count(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = iter([0.2, 0.02, 0.01, 0.03])  # the first warms up

    def run(sound: object) -> list[float]:
        length = next(lengths)
        wait(length)
        return [length]

    clock = timed_job._Clock(by_cpu=True, seconds=2.0)
    best, times = clock.fastest(run, np.zeros(1, np.float32), rounds=3)
    assert times == [0.02, 0.01, 0.03]
    assert 0.005 <= best < 0.0095


def test_waiting_is_time_without_a_core() -> None:
    clock = timed_job._Clock(by_cpu=True, seconds=1.0)
    clock.fastest(lambda sound: time.sleep(0.05) or [], np.zeros(1, np.float32), 1)
    assert clock.waited > 0.8
    assert "up to" in str(processes.waiting_text([costs(waited=clock.waited)]))
    assert processes.waiting_text([costs(waited=0.01)]) is None


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (3.0, 0, 0))
    assert "the machine is busy: 3.0 processes" in str(processes.load_text())
    monkeypatch.setattr("os.getloadavg", lambda: (0.1, 9, 9))
    assert processes.load_text() is None


def test_steps_are_all_of_a_waveform_one_by_one() -> None:
    heard: list[np.ndarray] = []
    times = runners.in_steps(heard.append, 4)(np.arange(11, dtype=np.float32))
    assert [list(piece) for piece in heard] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(times) == 2


def test_calls_of_a_library_are_timed() -> None:
    inner = SimpleNamespace(run=lambda x: wait(0.01) or x + 1, other=7)
    owner = SimpleNamespace(session=inner)
    times = runners.timed(owner, "session", "run")
    assert (owner.session.run(1), owner.session.other) == (2, 7)
    assert len(times) == 1
    assert times[0] >= 0.01


def test_an_eager_network_takes_clips_and_steps(saved: Path) -> None:
    found = costs_of(job("eager", saved))
    assert found.step_ms == 16
    assert 0 < found.p50_ms <= found.p99_ms <= found.worst_ms  # type: ignore[operator]
    assert 0 < found.real_time < 10
    assert found.streaming is not None
    assert costs_of(job("eager", saved, threads=2)).streaming is None  # steps are timed on one thread


def test_a_compiled_network_gives_what_it_gave(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(torch, "compile", lambda call, dynamic: made.append(call) or call)
    found = costs_of(job("compiled", saved))
    assert found.real_time == found.streaming
    assert costs_of(job("compiled", "convtasnet-tiny")).step_ms is None
    assert len(made) == 2


def test_an_exported_file_is_run_without_pytorch(exported: Path) -> None:
    found = processes.costs_in_process(job("onnx", exported))
    assert found.real_time == found.streaming
    assert 30 < found.memory_mb < 80  # this process holds more, and so would one with PyTorch


def test_steps_of_foreign_files_are_their_frames(exported: Path) -> None:
    found = costs_of(job("foreign", json.dumps({"onnx": str(exported)})))
    assert found.step_ms == 16
    assert found.streaming is not None


def test_who_works_in_other_processes_is_timed_by_the_clock() -> None:
    program = f"{sys.executable} -c 'import shutil, sys, time; time.sleep(0.2); shutil.copy(*sys.argv[1:])'"
    with trusting_code():
        found = costs_of(job("foreign", json.dumps({"command": f"{program} {{input}} {{output_file}}"})))
    assert found.real_time * 0.1 > 0.2, "this process's own CPU time would be next to nothing"
    assert (found.step_ms, found.memory_mb, found.waited) == (None, None, 0.0)


def test_a_process_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"nothing\.onnx is not a model"):
        processes.costs_in_process(job("onnx", tmp_path / "nothing.onnx"))
    monkeypatch.setattr(processes, "PROGRAM", "raise SystemExit(3)")
    with pytest.raises(UserError, match="its process ended with exit code 3"):
        processes.costs_in_process(job("onnx", "x"))


@pytest.mark.parametrize(
    ("models", "ways", "said"),
    [
        ([], ["eager"], "nothing to compare"),
        (["fastenhancer-t"], ["eagre"], "there is no way 'eagre'; did you mean eager?"),
        (["no-such/model"], ["eager"], "is not a saved model: nothing is there"),
        (["convtasnet-tny"], ["eager"], "nor a preset; did you mean convtasnet-tiny?"),
        (["{onnx: none.onnx}"], ["eager"], "none.onnx"),
        (["fastenhancer-t", "fastenhancer-t"], ["eager"], "is named twice"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(models: list[str], ways: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        list(cases_of(subjects_of(models, []), ways))


def test_a_preset_is_measured_untrained() -> None:
    (subject,) = subjects_of(["convtasnet-tiny"], [])
    assert (subject.trained, subject.parameters, subject.bytes_of("eager")) == (False, 36_029, None)
    assert subjects_of(["fastenhancer-t"], [])[0].trained


def test_command(saved: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything at once, of a network, a file and a preset; in this process, so that it takes seconds."""
    pytest.importorskip("pesq")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(command, "costs_in_process", costs_of)
    monkeypatch.setattr(command, "usable_cores", lambda: 1)
    found = command.benchmark(
        [saved, "convtasnet-tiny"], [exported], write_pairs(tmp_path / "pairs", 2), ("eager",), 0.1, 1
    )
    assert [row.label for row in found.rows] == ["tiny eager", "convtasnet-tiny eager", "tiny.onnx"]
    assert found.rows[0].scores.keys() == found.noisy.keys() == {"pesq_wb", "estoi", "si_sdr"}
    assert found.rows[1].scores == {}
    assert found.rows[2].bytes == exported.stat().st_size
    command.write_benchmark(found, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "benchmark.html", "benchmark.md", "benchmark.json", "quality-and-cost.svg", "quality-and-cost.png",
    }  # fmt: skip
    assert (tmp_path / "out/quality-and-cost.png").read_bytes()[:4] == b"\x89PNG"
    read = json.loads((tmp_path / "out/benchmark.json").read_text())
    assert read["rows"][0]["costs"]["step_ms"] == 16
    assert read["made_by"]["versions"]["torch"] == version("torch")
    with pytest.raises(UserError, match="exists already"):
        command.write_benchmark(found, tmp_path / "out")


def costs(**given: float) -> Costs:
    return Costs(**{"real_time": 0.0123, "streaming": 0.2, "step_ms": 16, "p50_ms": 1.234, "p99_ms": 2,
                    "worst_ms": 33, "memory_mb": 61.4, "waited": 0.0, **given})  # fmt: skip


def test_pairs_that_do_not_fit_are_refused_with_what_helps_here(saved: Path, tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", 2, seconds=2.0)
    for path in (pairs / "noisy").iterdir():
        samples, rate = sf.read(path)
        sf.write(path, np.roll(samples, 1_600), rate)
    with pytest.raises(UserError, match="prepare --noisy") as refused:
        command.benchmark([saved], on=pairs, seconds=0.1, rounds=1)
    assert "prepare --trust-pairs" in str(refused.value)


def test_tables_fit_80_columns_and_tell_what_failed() -> None:
    rows = [
        Row("fastenhancer-t", "eager", costs(), 0.009, 22_451, 60_100_000, 102_000, {"pesq_wb": 2.53}),
        Row("fastenhancer-t", "onnx", refused="it cannot be exported."),
        Row("deepfilternet", "foreign", costs(), None),
    ]
    noisy = {"pesq_wb": 2.19, "estoi": 0.8, "si_sdr": 8.2}
    made_by = command.Provenance.now()
    found = Benchmark(rows, 2, 10, 5, "pairs", 25, noisy, ["the machine is busy."], made_by)
    (_, times), (title, sizes) = benchmark_tables(found)
    assert times.rows[0][0] == "fastenhancer-t"
    assert times.rows[1] == ["  eager", "0.0123", "0.0090", "0.2000", "1.23", "2.00", "33.0"]
    assert times.rows[3] == ["deepfilternet", "0.0123", "–", "0.2000", "1.23", "2.00", "33.0"]
    assert sizes.rows[1] == ["  eager", "61", "102", "22.5 k", "60.1 M", "2.530", "–", "–"]
    assert sizes.rows[-1] == ["noisy", "", "", "", "", "2.190", "0.8000", "8.20"]
    assert "pairs (25 clips)" in title
    assert all(len(fitting(table, 80)) == 1 for table in (times, sizes))
    assert sentences(found) == [
        "The machine is busy.", "fastenhancer-t onnx was not measured: it cannot be exported.",
    ]  # fmt: skip
