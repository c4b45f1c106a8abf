"""A console that is closed, full or gone: no traceback, and the work goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.sounds import speech_and_noise

COMMAND = [sys.executable, "-m", "sedistill"]


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which S is the command."""
    words = f"set -o pipefail; S='{' '.join(COMMAND)}'; {line}"
    return subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    "line",
    [
        "$S models | head -1",
        "$S mix --help >&-",
        "$S mix --help >&- 2>&-",
        "$S mix --help <&- >&- 2>&-",
        "$S mix --help | true",
    ],
)
def test_a_closed_console_is_no_fault(tmp_path: Path, line: str) -> None:
    done = shell(line, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_full_disk_does_not_take_is_said(tmp_path: Path) -> None:
    done = shell("$S --help > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("sedistill: ")
    assert "the disk is full" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_full_disk_is_told_once_and_another_reason_beside_it(tmp_path: Path) -> None:
    """What is printed first meets the full disk at the end, where standard output is kept for later."""
    lines = {
        "print(1); open('/dev/full', 'w').write('x' * 100_000)": 1,
        "print(1); raise UserError('x') from OSError(28, 'full')": 1,
        "print(1); raise UserError('x') from None": 2,
        "print(1); open('/proc/none', 'w')": 2,
    }
    for work, told in lines.items():
        (tmp_path / "go.py").write_text(
            "from sedistill.cli.ending import ends_in_words\nfrom sedistill.common.errors import UserError\n"
            f"with ends_in_words(None):\n    {work}\n"
        )
        done = shell(f"{sys.executable} go.py > /dev/full", tmp_path, PYTHONUNBUFFERED="")
        assert (done.returncode, done.stderr.count("\n")) == (2, told), done.stderr
        assert done.stderr.count("sedistill: ") == told


def test_files_never_get_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """Else what is printed would be written into the set."""
    clean, noise = speech_and_noise(tmp_path / "sounds", speakers=3, classes=3)
    done = shell(f"$S prepare --clean {clean} --noise {noise} -o corpus <&- >&- 2>&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "corpus/corpus.yaml").read_text().startswith("format_version")


def test_no_home_no_terminal_no_writable_folder(tmp_path: Path) -> None:
    done = shell("cd /proc && env -u HOME -u TERM $S --help > /dev/null", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_removed_current_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    place = Path(__file__).parents[2]
    done = shell("cd gone && rmdir ../gone && $S --help", tmp_path, PYTHONPATH=str(place))
    assert done.returncode == 1
    assert done.stderr == (
        "sedistill: the current folder was removed; change to another and run the same command again.\n"
    )


def test_a_closed_terminal_is_an_interruption(tmp_path: Path) -> None:
    code = "import os, signal\n"
    code += "hang_up = lambda: os.kill(os.getpid(), signal.SIGHUP)\n"
    code += "import sedistill.models.catalogue\nsedistill.models.catalogue.print_catalogue = hang_up\n"
    code += "from sedistill.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code, "models"], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGHUP
    assert done.stderr == (
        "\nsedistill: interrupted (SIGHUP); nothing was written, and the same command line starts afresh.\n"
    )
