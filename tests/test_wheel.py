"""The wheel alone, in an empty environment and in another folder, does what the README says."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.test_readme import ROOT, blocks, command_lines

pytest.importorskip("hatchling", reason="builds the wheel; pip install -e '.[dev]' brings it")
pytest.importorskip("pip", reason="installs the wheel")
pytestmark = pytest.mark.slow

PLACEHOLDERS = ("DATA", "SPEECH", "NOISE", "mine", "calls", "--live")
"""What stands in README's lines for what a reader has (recordings, a microphone) or trained for an hour."""


def run(*command: object, folder: Path) -> str:
    """What a command printed. It must succeed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env={**plain, "OMP_NUM_THREADS": "1"}, text=True,
        encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place, folder=ROOT)
    (path,) = place.glob("sedistill-*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `python` and `sedistill`, in an environment that has the wheel and sees what it needs.

    The packages it needs are those of this environment, by a .pth file: such a file takes over folders, and
    no editable installation that another .pth file in them may be.
    """
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, symlinks=os.name != "nt")
    found = place / ("Scripts" if os.name == "nt" else "bin")
    own = run(found / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=place)
    shared = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (Path(own.strip()) / "needed.pth").write_text("\n".join(shared), encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", found / "python")
    run(*pip, "install", "--no-deps", "--no-index", wheel, folder=place)
    return found


def test_everything_in_the_package_travels(wheel: Path) -> None:
    package = ROOT / "sedistill"
    here = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("sedistill/")}
    assert packed == {name for name in here if "__pycache__" not in name}


def test_the_lines_of_the_readme_work_elsewhere(programs: Path, tmp_path: Path) -> None:
    where = run(programs / "python", "-c", "import sedistill; print(sedistill.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(programs.parent), "not the code of the clone"
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    sf.write(tmp_path / "noisy.wav", noise, 16_000)
    lines = [
        words
        for words in command_lines(ROOT / "README.md")
        if not any(word.startswith(PLACEHOLDERS) for word in words)
    ]
    assert ["sedistill", "enhance", "noisy.wav", "-o", "clean.wav"] in lines
    for _, *words in lines:
        run(programs / "sedistill", *words, folder=tmp_path)
    assert sf.info(tmp_path / "clean.wav").frames == 16_000
    (code,) = blocks(ROOT / "README.md", "python")
    given = (
        "import torch\nstudent_wave, teacher_wave, clean_wave = torch.randn(3, 2, 16_000)\nyour_loss = 0\n"
    )
    run(programs / "python", "-c", f"{given}{code}\nassert loss.isfinite()", folder=tmp_path)


def test_tables_and_pages_work_elsewhere(programs: Path, tmp_path: Path) -> None:
    """The sizes of DFKD's networks need no recordings; recipe, templates and figures are in the wheel."""
    sedistill = programs / "sedistill"
    assert "dispatch/table1 " in run(sedistill, "recipes", folder=tmp_path)
    assert "fastenhancer-t" in run(sedistill, "models", folder=tmp_path)
    assert "reproduce" in run(sedistill, "--help", folder=tmp_path)
    run(sedistill, "recipes", "dfkd", "-o", "mine", folder=tmp_path)
    run(sedistill, "reproduce", "mine/dfkd/table1", "-o", "out", folder=tmp_path)
    assert (tmp_path / "out" / "dfkd" / "table1" / "result.html").exists()
