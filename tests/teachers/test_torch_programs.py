"""TorchScript, programs of torch.export, and functions of Python as teachers."""

import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.common.extensions import trusting_code
from sedistill.teachers.opening import open_teacher

RATE = 16_000


class Smooth(nn.Module):
    """A waveform (B, T) through one filter; in training mode it drops samples."""

    def __init__(self) -> None:
        super().__init__()
        self.filter, self.drop = nn.Conv1d(1, 1, 5, padding=2), nn.Dropout(0.5)

    def forward(self, noisy: Tensor) -> Tensor:
        return self.drop(self.filter(noisy.unsqueeze(1))).squeeze(1)


def save(network: nn.Module, kind: str, path: Path) -> Path:
    if kind == "exported":
        length = torch.export.Dim("samples", min=16)
        example = (torch.zeros(1, 2_000),)
        torch.export.save(torch.export.export(network, example, dynamic_shapes=({1: length},)), str(path))
        return path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), str(path))
    return path


@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_a_saved_program_gives_what_the_network_gives_and_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    network = Smooth().eval() if kind == "exported" else Smooth().train()
    path = save(network, kind, tmp_path / "net.pt2")
    before, network = path.read_bytes(), network.eval()
    with pytest.raises(UserError, match="is a program of torch, which is not run unasked: give --trust-code"):
        open_teacher({kind: str(path), "rate": RATE}, RATE)
    with trusting_code():
        teacher = open_teacher({kind: str(path), "rate": RATE}, RATE)
    noisy = torch.randn(2, 3_333)
    first = teacher(noisy)
    with torch.no_grad():
        torch.testing.assert_close(first, network(noisy))
    assert torch.equal(teacher(noisy), first)
    assert not first.requires_grad
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_what_is_no_program_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_bytes(b"nothing of the kind")
    with trusting_code(), pytest.raises(UserError, match=f"is no {kind} file"):
        open_teacher({kind: str(tmp_path / "x"), "rate": RATE}, RATE)


def test_a_function_is_called_where_its_code_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_denoiser.py").write_text(
        "def half(noisy):\n    return noisy / 2\n\ndef bad(noisy):\n    1 / 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    spec = {"python": "their_denoiser:half", "rate": RATE}
    with pytest.raises(UserError, match="--trust-code"):
        open_teacher(spec, RATE)
    assert "their_denoiser" not in sys.modules
    noisy = torch.randn(2, 400)
    with trusting_code():
        torch.testing.assert_close(open_teacher(spec, RATE)(noisy), noisy / 2)
        with pytest.raises(UserError, match="raises ZeroDivisionError"):
            open_teacher({**spec, "python": "their_denoiser:bad"}, RATE)(noisy)
        with pytest.raises(UserError, match="cannot be imported"):
            open_teacher({**spec, "python": "their_denoiser:none"}, RATE)


class OnGPU(nn.Module):
    """Names its device in its code, so that nothing brings it to another."""

    def forward(self, noisy: Tensor) -> Tensor:
        return noisy.to("cuda").cpu()


class TwoOutputs(nn.Module):
    def forward(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        return noisy, noisy


class Stereo(nn.Module):
    def forward(self, noisy: Tensor) -> Tensor:
        return torch.cat([noisy, noisy])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_network_for_a_gpu_alone_is_refused_on_a_cpu(tmp_path: Path) -> None:
    path = save(OnGPU(), "torchscript", tmp_path / "net.pt")
    with trusting_code(), pytest.raises(UserError, match=r"net\.pt asks for a GPU, and there is none here"):
        open_teacher({"torchscript": str(path), "rate": RATE}, RATE)(torch.zeros(1, 800))


@pytest.mark.parametrize(("network", "words"), [(TwoOutputs(), "no denoiser"), (Stereo(), "give one too")])
def test_programs_that_are_no_denoisers_are_refused(tmp_path: Path, network: nn.Module, words: str) -> None:
    path = save(network, "torchscript", tmp_path / "net.pt")
    with trusting_code(), pytest.raises(UserError, match=words):
        open_teacher({"torchscript": str(path), "rate": RATE}, RATE)(torch.zeros(1, 800))
