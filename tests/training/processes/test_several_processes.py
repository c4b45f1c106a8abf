"""Several processes that train one network: the same mixtures, the same weights, one voice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.common.torchrun import joined
from sedistill.models.layers.synced_norm import synchronize_batch_norms
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.together import together, told
from tests.training.runs import weights
from tests.training.test_methods import BLOCKS, FEATURES

Write = Callable[..., Path]


def train_with(count: int, recipe: Path, output: Path, *overrides: str) -> Path:
    """Train with so many processes; the folder of the student."""
    if count == 1:
        return train(recipe, overrides, output=output)
    said = output.with_name(f"{output.name}-said")
    codes = together(lambda rank: train(recipe, overrides, output=output), count, said)
    assert codes == [0] * count, told(said)
    assert not any(text for rank, text in told(said).items() if rank != "0"), "only the first may print"
    return output / "student"


def assert_same_training(
    recipe: Path, world: Path, counts: tuple[int, ...], tolerance: float = 1e-5, *overrides: str
) -> None:
    """Runs of so many processes, and with these keys, end with the weights and curves of one without."""
    alone = weights(train_with(1, recipe, world / "1"))
    curves = read_metrics(world / "1")
    for count in counts:
        student = train_with(count, recipe, world / f"in-{count}", *overrides)
        for name, value in weights(student).items():
            torch.testing.assert_close(value, alone[name], atol=tolerance, rtol=tolerance)
        found = read_metrics(world / f"in-{count}")
        assert found.keys() == curves.keys()
        for name in (n for n in curves if n == "se" or n.startswith(("kd/", "valid/", "gradient/"))):
            assert [step for step, _ in found[name]] == [step for step, _ in curves[name]]
            values = [value for _, value in found[name]]
            assert values == pytest.approx([value for _, value in curves[name]], rel=1e-3, abs=1e-4), name


def test_1_2_and_4_processes_end_with_the_same_weights(
    write_recipe: Write, world: Path, distilled: dict[str, Any]
) -> None:
    assert_same_training(write_recipe(**distilled), world, (2, 4))


@pytest.mark.parametrize("method", ["distilled", "stages", "kdrl", "fixed"])
def test_pieces_of_a_batch_give_the_weights_of_the_whole(
    write_recipe: Write, world: Path, distilled: dict[str, Any], method: str
) -> None:
    """In one process four pieces, of distillation two in each of two; gradients are also measured apart."""
    kdrl = {"method": "C", "distance": "mse", "policy_learning_rate": 1e-3, "policy_input_length": 400}
    keys: dict[str, Any] = {
        "distilled": distilled,
        "stages": {"objectives": [{"loss": "l2"}, *FEATURES.values()], "two_step": {"kd_steps": 4}},
        "kdrl": {"kdrl": kdrl},
        "fixed": {"kdrl": {"method": "fixed", "ratio": 0.3, "distance": "mse"}},
    }[method]
    recipe = write_recipe(**{"teacher": str(world / "teacher"), **keys})
    pieces, count = (2, 2) if method == "distilled" else (4, 1)
    assert_same_training(recipe, world, (count,), 1e-5, f"hardware.accumulate={pieces}")


def test_objectives_in_which_clips_meet_see_the_whole_batch(write_recipe: Write, world: Path) -> None:
    """Maps that learn along, taps and stages among them; the other two are means over all clips anyway."""
    batch_gram = {"loss": "gram", "pairs": BLOCKS, "gram": "batch"}
    ranked = {"loss": "l2", "keep": 0.5, "rank_over": "batch"}
    recipe = write_recipe(
        teacher=str(world / "teacher"),
        objectives=[ranked, batch_gram, FEATURES["layer_attention"]],
        two_step={"kd_steps": 4},
    )
    assert_same_training(recipe, world, (2,))


FAST = {"class": "FastEnhancer", "channels": 4, "convolutions": 1, "blocks": 1, "units": 4, "bands": 4}


def test_kdrl_and_synced_batch_norms(write_recipe: Write, world: Path) -> None:
    kdrl = {"method": "C", "distance": "mse", "policy_learning_rate": 1e-3, "policy_input_length": 400}
    recipe = write_recipe(
        student=FAST, teacher=str(world / "teacher"), kdrl=kdrl, optimiser={"max_epochs": 2},
        hardware={"sync_batch_norm": True},
    )  # fmt: skip
    # The gradient of a bias before another batch norm is rounding, of which Adam makes whole steps.
    assert_same_training(recipe, world, (2,), tolerance=1e-3)
    ratios = [(world / run / "ratios.csv").read_text().split() for run in ("1", "in-2")]
    assert len(ratios[0]) == 1 + 6 * 4
    for one, two in zip(*ratios, strict=True):
        assert one.rsplit(",", 1)[0] == two.rsplit(",", 1)[0]
    assert "batch norms see those of all" in " ".join(told(world / "in-2-said")["0"].split())


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 5), (8, 3, 5, 2)])
def test_synced_batch_norm_is_that_of_the_whole_batch(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)) + 2
    kind = torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d
    whole = kind(3, momentum=0.3)
    with torch.no_grad():
        whole.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))

    def outcome(norm: torch.nn.Module, own: torch.Tensor) -> dict[str, torch.Tensor]:
        own = own.clone().requires_grad_()
        given = norm(own)
        given.pow(3).sum().backward()
        return {"given": given.detach(), "gradient": own.grad, **norm.state_dict()}

    def of_two(rank: int) -> None:
        with joined():
            synchronize_batch_norms(whole)
            torch.save(outcome(whole, x[4 * rank : 4 * rank + 4]), tmp_path / f"{rank}.pt")

    assert together(of_two, 2, tmp_path / "said") == [0, 0], told(tmp_path / "said")
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    expected = outcome(whole, x)
    for name in ("given", "gradient"):
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), expected[name])
    for part in parts:
        for name in whole.state_dict():
            torch.testing.assert_close(part[name], expected[name])


def test_a_teacher_s_outputs_are_shared_out_and_the_same(write_recipe: Write, world: Path) -> None:
    """Of a network in batches of eight, and of mixtures that come again, with what was heard."""
    keys = {"crop_seconds": 0.1, "repeat_epochs": 2}
    recipe = write_recipe(teacher=str(world / "teacher"), objectives=[{"loss": "l2"}], data=keys)
    kept = {}
    for count in (1, 3):
        place = world / f"kept-{count}"
        train_with(
            count, recipe, world / str(count), f"teacher_use.cache_folder={place}", "optimiser.batch_size=3",
            "optimiser.max_epochs=2",
        )  # fmt: skip
        kept[count] = {path.relative_to(place): path.read_bytes() for path in place.rglob("outputs.*")}
    assert len(kept[1]) == 4
    assert kept[1] == kept[3]
