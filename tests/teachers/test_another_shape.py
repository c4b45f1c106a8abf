"""A teacher of any kind that gives other channels, another length or rate than it is given: one sentence."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.common.extensions import trusting_code
from sedistill.data.fixed_sets import FixedSet
from sedistill.teachers.opening import open_teacher
from sedistill.teachers.source import TeacherSource
from tests.teachers.test_foreign import write_speech
from tests.teachers.test_torch_programs import save

RATE = 16_000
WRONG = {"stereo": "np.stack([x, x], -1)", "short": "x[: len(x) // 2]", "complex": "x + 0j"}
CODE = """
import sys, numpy as np
def wrong(x):
    return {answer}
if __name__ == "__main__":
    import soundfile as sf
    x, rate = sf.read(sys.argv[1])
    sf.write(sys.argv[2], wrong(x), rate)
"""


class Wrong(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, noisy: Tensor) -> Tensor:
        if self.how == "stereo":
            return torch.stack([noisy, noisy], 1)
        if self.how == "short":
            return noisy[:, : noisy.shape[1] // 2]
        return torch.complex(noisy, noisy)


@pytest.fixture
def clips(tmp_path: Path) -> FixedSet:
    return write_speech(tmp_path / "set", clips=1)


def command(how: str, place: Path) -> dict[str, Any]:
    (place / "tool.py").write_text(CODE.format(answer=WRONG[how]))
    words = map(shlex.quote, (sys.executable, str(place / "tool.py")))
    return {"command": f"{' '.join(words)} {{input}} {{output_file}}"}


def python(how: str, place: Path) -> dict[str, Any]:
    (place / f"tool_{how}.py").write_text(CODE.format(answer=WRONG[how]))
    return {"python": f"tool_{how}:wrong", "rate": RATE}


def folder(how: str, place: Path) -> dict[str, Any]:
    (place / "cleaned").mkdir()
    x = sf.read(place / "set/noisy/000.wav")[0]
    sf.write(place / "cleaned/000.wav", eval(WRONG[how], {"np": np, "x": x}), RATE)
    return {"folder": str(place / "cleaned")}


def torchscript(how: str, place: Path) -> dict[str, Any]:
    return {"torchscript": str(save(Wrong(how), "torchscript", place / "net.pt")), "rate": RATE}


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        (command, "stereo", "gives 2 channels for one; it must give one too"),
        (command, "short", "gives 8000 samples for 16000"),
        (folder, "stereo", r"its partner .*cleaned/000\.wav has 2 channels, not 1"),
        (folder, "short", "gives 8000 samples for 16000"),
        (python, "stereo", r"gives shape \(16000, 2\) for one channel"),
        (python, "short", "gives 8000 samples for 16000"),
        (python, "complex", "gives complex64 values; a waveform has real numbers"),
        (torchscript, "stereo", r"gives shape \(2, 16000\) for one channel"),
        (torchscript, "short", "gives 8000 samples for 16000"),
        (torchscript, "complex", "gives complex64 values"),
    ],
)
def test_is_told(
    clips: FixedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Callable, how: str, words: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with trusting_code(), pytest.raises(UserError, match=words):
        open_teacher(kind(how, tmp_path), RATE).on_clip(clips, 0)


def test_stereo_files_for_stereo_files_are_averaged_as_those_are(tmp_path: Path) -> None:
    clips = write_speech(tmp_path / "set", clips=1)
    wave = clips[0][0]
    for place in ("set/noisy", "cleaned"):
        (tmp_path / place).mkdir(exist_ok=True)
        sf.write(tmp_path / place / "000.wav", np.stack([wave, 3 * wave], -1), RATE, subtype="FLOAT")
    stereo = FixedSet(tmp_path / "set")
    teacher = open_teacher({"folder": str(tmp_path / "cleaned")}, RATE)
    np.testing.assert_allclose(teacher.on_clip(stereo, 0), 2 * wave, rtol=1e-6)


class Packaged:
    """A teacher of another package that answers in stereo."""

    name, hash, sample_rate, latency = "theirs", "12345678", RATE, 0

    def __call__(self, noisy: Tensor) -> Tensor:
        return torch.stack([noisy, noisy], 1)


def test_of_another_package() -> None:
    with pytest.raises(UserError, match=r"theirs gives shape \(2, 2, 100\) for \(2, 100\); it must give one"):
        TeacherSource(Packaged()).raw(torch.zeros(2, 100))
