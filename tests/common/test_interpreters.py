"""Processes of ours find what is installed, whatever lies in the folder they are started from."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from sedistill.common.interpreters import (
    PACKAGE_PARENT,
    import_path,
    importing_safely,
    module_command,
    python_command,
    python_environment,
)
from sedistill.data.batches import fixed_loader
from sedistill.evaluation.metric_process import ScoringProcess
from sedistill.evaluation.metrics import METRICS
from tests.evaluation.signals import RATE, noise, speech_like

FALSE_PESQ = (
    "def pesq(*a): return 9.99\nclass NoUtterancesError(Exception): pass\nPesqError = NoUtterancesError\n"
)
STANDARD = ("types", "enum", "pickle", "subprocess", "random", "json", "runpy", "signal", "typing", "site")


@pytest.fixture
def littered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with modules in it that take the names of others."""
    (tmp_path / "pesq.py").write_text(FALSE_PESQ)
    for name in (*STANDARD, "numpy", "typer", "sedistill"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('this is not {name}')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "how", ["as installed", "with -c", "with -m", "an empty part of PYTHONPATH", "named"]
)
def test_pesq_is_the_same_in_every_folder(how: str, littered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "with -c":
        monkeypatch.syspath_prepend("")
    elif how == "with -m":
        monkeypatch.syspath_prepend(str(littered))
    elif how == "an empty part of PYTHONPATH":
        monkeypatch.setenv("PYTHONPATH", f"{PACKAGE_PARENT}{os.pathsep}")
    elif how == "named":
        monkeypatch.setenv("PYTHONPATH", str(littered))
    clean = speech_like(0.6)
    estimate = clean + noise(len(clean))
    process = ScoringProcess()
    try:
        score = process.score(clean, estimate, RATE, ["pesq_wb"])["pesq_wb"]
    finally:
        process.stop()
    assert score == pytest.approx(METRICS["pesq_wb"].value(clean, estimate, RATE), rel=1e-9)


def test_the_import_path_has_neither_the_current_folder_nor_the_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, of_script, kept = tmp_path / "here", tmp_path / "script", str(tmp_path / "kept")
    for folder in (here, of_script):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(of_script / "go.py"), raising=False)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", ["", str(of_script), str(here), kept, "relative", *sys.path])
    assert import_path()[0] == kept
    assert not {"", str(here), str(of_script), "relative"} & set(import_path())
    assert PACKAGE_PARENT in import_path()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), "."]))
    assert str(here) in import_path()[-2:]


def test_a_program_a_module_and_the_command_itself_run_in_a_littered_folder(littered: Path) -> None:
    environment = python_environment(OWN="1")
    ran = [
        subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
        for command in (
            python_command("import os, typing, enum; print(os.environ['OWN'], sys.argv[1])", "x"),
            module_command("sedistill", "--version"),
        )
    ]
    plain = [sys.executable, "-m", "sedistill", "--version"]
    for name in (*STANDARD, "sedistill"):
        (littered / f"{name}.py").unlink()  # with these `python -m` itself does not start
    ran.append(subprocess.run(plain, capture_output=True, text=True))
    assert [one.stderr for one in ran] == ["", "", ""]
    assert ran[0].stdout == "1 x\n"
    assert ran[1].stdout == ran[2].stdout
    assert ran[1].stdout.startswith("sedistill ")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH came with Python 3.11")
def test_spawned_processes_start_in_a_littered_folder(littered: Path) -> None:
    program = (
        "import multiprocessing\n"
        "from sedistill.common.parallel import parallel_map\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.set_start_method('spawn')\n"
        "    print(sum(parallel_map(abs, range(-64, 0), 2, '', 'numbers')))\n"
    )
    environment = {**python_environment(), "PYTHONSAFEPATH": ""}  # not safe by itself
    ran = subprocess.run(python_command(program), capture_output=True, text=True, env=environment)
    assert ran.stdout == "2080\n", ran.stderr


def test_data_workers_are_started_safely_and_the_environment_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lengths(list):
        lengths = (1, 1)

    seen = []
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)

    def noted(_: DataLoader) -> Iterator[None]:
        seen.append(os.environ.get("PYTHONSAFEPATH"))
        return iter(())

    monkeypatch.setattr(DataLoader, "__iter__", noted)
    import numpy as np

    dataset = Lengths([0, 1])
    dataset.lengths = np.array([1, 1])
    assert list(fixed_loader(dataset, 1)) == []
    assert seen == ["1"]
    assert "PYTHONSAFEPATH" not in os.environ
    monkeypatch.setenv("PYTHONSAFEPATH", "0")
    with pytest.raises(KeyError), importing_safely():
        raise KeyError
    assert os.environ["PYTHONSAFEPATH"] == "0"
