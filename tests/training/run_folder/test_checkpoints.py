"""A checkpoint is what was written, or it is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.training.run import train
from sedistill.training.run_folder.checkpoints import load_checkpoint, save_checkpoint
from tests.training.runs import train_until_ctrl_c

STATE = {"student": {"weight": torch.arange(3000.0)}, "progress": {"step": 7}}


def flipped(data: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """40 places each in the header, the tensors, torch's directory at the end and the seal."""
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, STATE)
    data = path.read_bytes()
    assert torch.equal(load_checkpoint(path)["student"]["weight"], STATE["student"]["weight"])
    random = np.random.default_rng(0)
    regions = (
        (0, 200),
        (200, len(data) - 1000),
        (len(data) - 1000, len(data) - 72),
        (len(data) - 72, len(data)),
    )
    for first, last in regions:
        for position in random.integers(first, last, 40).tolist():
            path.write_bytes(flipped(data, position, int(random.integers(8))))
            with pytest.raises(UserError, match=r"last\.ckpt is damaged or cut short; .*afresh"):
                load_checkpoint(path)
    for length in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match="damaged or cut short"):
            load_checkpoint(path)


def test_a_checkpoint_from_before_seals_is_read_and_its_tensors_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(STATE, path)
    assert load_checkpoint(path)["progress"] == {"step": 7}
    data = path.read_bytes()
    tensor = data.index(STATE["student"]["weight"].numpy().tobytes())
    for position in range(tensor, tensor + 12_000, 300):
        path.write_bytes(flipped(data, position, 3))
        with pytest.raises(UserError, match="damaged"):
            load_checkpoint(path)


def test_a_seal_does_not_keep_torch_from_reading(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.ckpt", STATE)
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["progress"] == {"step": 7}


@pytest.mark.parametrize("fault", ["flipped", "missing"])
def test_a_lost_best_checkpoint_is_known_on_resuming(
    write_recipe: Callable[..., Path], world: Path, fault: str
) -> None:
    recipe = write_recipe()
    train_until_ctrl_c(recipe, world / "out", stop_at=5)
    best = world / "out" / "checkpoints" / "best.ckpt"
    if fault == "missing":
        best.unlink()
    else:
        best.write_bytes(flipped(best.read_bytes(), best.stat().st_size // 2, 0))
    with pytest.raises(UserError, match=r"best\.ckpt is (damaged|missing).*train afresh"):
        train(recipe, output=world / "out")
