"""A weight of 0 leaves a term out altogether, and what nobody looks at is not kept."""

import errno
import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.common.settings import load_settings
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.training.build import build_loop
from sedistill.training.inputs import prepare_run
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.training.conftest import TINY_NETWORK
from tests.training.runs import same, weights

Write = Callable[..., Path]

FEATURES = {"loss": "attention", "pairs": [["encoder", "encoder"]]}
TERMS: dict[str, dict[str, Any]] = {
    "bins": {"loss": "dfkd", "keep": 0.5},
    "random": {"loss": "l2", "keep": 0.5, "score": "random"},
    "waveform": {"loss": "si_snr"},
    "kl": {"loss": "kl"},
    "features": FEATURES,
    "layers": {"loss": "layer_attention", "student_layers": ["encoder"], "teacher_layers": ["encoder"]},
    "bands": {"loss": "subband", "bands": 2, "teachers": ["nowhere", "nowhere"]},
}


@pytest.mark.parametrize("term", TERMS)
def test_an_objective_of_weight_0_is_the_run_without_it(write_recipe: Write, world: Path, term: str) -> None:
    """Bit for bit, beside another one (and once alone); its teacher is not even there."""
    beside = [] if term == "random" else [{"loss": "waveform_l1", "target": "clean"}]
    plain = train(write_recipe("plain", objectives=beside), output=world / "plain")
    left_out = {**TERMS[term], "weight": 0.0}
    recipe = write_recipe(teacher=str(world / "nowhere"), objectives=[left_out, *beside])
    assert same(weights(plain), weights(train(recipe, output=world / "out")))
    assert read_metrics(world / "out").keys() == read_metrics(world / "plain").keys()


@pytest.mark.parametrize("changes", [{"kd_weight": 0.0}, {"objectives": []}])
def test_without_distillation_no_teacher_is_loaded(
    write_recipe: Write, world: Path, changes: dict[str, Any]
) -> None:
    recipe = {"teacher": str(world / "nowhere"), "objectives": [TERMS["bins"]], **changes}
    plain = train(write_recipe("plain"), output=world / "plain")
    assert same(weights(plain), weights(train(write_recipe(**recipe), output=world / "out")))


def test_without_se_weight_its_loss_is_neither_computed_nor_logged(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sedistill.training.inputs import PreparedRun

    def never(*_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the enhancement loss has no weight")

    recipe = load_settings(
        Recipe, write_recipe(se_weight=0.0, objectives=[{"loss": "l2", "target": "clean"}])
    )
    run = prepare_run(recipe)
    monkeypatch.setattr(PreparedRun, "se_loss", property(lambda _: never))
    loop = build_loop(run, world / "out")
    assert "se" not in loop.step(next(iter(loop.train_batches)), measure_balance=True)


def test_kdrl_with_a_fixed_ratio_of_0_is_plain_training(write_recipe: Write, world: Path) -> None:
    plain = train(write_recipe("plain", se_weight=1.0, se_loss="mse"), output=world / "plain")
    recipe = write_recipe(
        teacher=str(world / "nowhere"), kdrl={"method": "fixed", "ratio": 0.0, "distance": "mse"}
    )
    assert same(weights(plain), weights(train(recipe, output=world / "out")))
    assert "kd/soft" not in read_metrics(world / "out")


def test_kdrl_with_a_fixed_ratio_of_1_is_distillation_alone(write_recipe: Write, world: Path) -> None:
    teacher = str(world / "teacher")
    alone = {"se_weight": 0.0, "kd_weight": 1.0, "kd_level_db": None, "objectives": [{"loss": "waveform_l2"}]}
    distilled = train(write_recipe("distilled", teacher=teacher, **alone), output=world / "distilled")
    fixed = {"method": "fixed", "ratio": 1.0, "distance": "mse"}
    out = train(write_recipe(teacher=teacher, kdrl=fixed), output=world / "out")
    assert same(weights(distilled), weights(out))
    assert "se" not in read_metrics(world / "out")


def test_taps_keep_nothing_where_no_feature_is_compared(write_recipe: Write, world: Path) -> None:
    """In the second stage, in validation and where somebody looks on; weak references tell."""
    recipe = write_recipe(
        teacher=str(world / "teacher"), objectives=[FEATURES], two_step={"kd_steps": 3}, se_loss="mse"
    )
    run = prepare_run(load_settings(Recipe, recipe))
    loop = build_loop(run, world / "out")
    seen: list[weakref.ref] = []
    layer = run.student.get_submodule("encoder")
    layer.register_forward_hook(lambda _module, _inputs, output: seen.append(weakref.ref(output)))
    batch = next(iter(loop.train_batches))

    def alive() -> int:
        gc.collect()
        return sum(reference() is not None for reference in seen)

    for stage in loop.stages:
        loop.step.at(stage, share_done=0.0)
        loop.step(batch, measure_balance=False)
        assert alive() == 0
        loop.validation.clip_losses(batch)
        assert alive() == 0
    assert len(seen) == 4


def band_teacher(folder: Path, seed: int) -> str:
    torch.manual_seed(seed)
    save_model(build_model(TINY_NETWORK), folder)
    return str(folder)


@pytest.mark.parametrize("cache", ["auto", "never"])
def test_each_subband_objective_has_its_own_teachers(write_recipe: Write, world: Path, cache: str) -> None:
    """Two at once give each the loss that it has alone, whatever they share and in whatever order."""
    a, b, c = (band_teacher(world / f"band{seed}", seed) for seed in range(3))
    first = {"loss": "subband", "bands": 2, "teachers": [a, b]}
    second = {"loss": "subband", "bands": [1000, 3000], "teachers": [c, b, a], "weight": 2.0}

    def values(name: str, *objectives: dict[str, Any]) -> list[float]:
        recipe = write_recipe(name, objectives=list(objectives), teacher_use={"cache": cache})
        loop = build_loop(prepare_run(load_settings(Recipe, recipe)), world / name)
        log = loop.step(next(iter(loop.train_batches)), measure_balance=False)
        return [float(value) for key, value in log.items() if key.startswith("kd/")]

    alone = values("first", first) + values("second", second)
    assert alone[0] != alone[1]
    assert values("both", first, second) == alone
    assert values("other-way", second, first) == alone[::-1]
    unweighted = {**first, "weight": 0.0, "teachers": ["nowhere", "nowhere"]}
    assert values("one-left-out", unweighted, second) == alone[1:]


@pytest.mark.parametrize("cache", ["auto", "never"])
def test_under_bf16_a_teachers_targets_do_not_depend_on_the_cache(
    write_recipe: Write, world: Path, distilled: dict[str, Any], cache: str
) -> None:
    """The teacher is in float32 either way; and so are kept outputs."""
    recipe = write_recipe(hardware={"precision": "bf16-mixed"}, teacher_use={"cache": cache}, **distilled)
    run = prepare_run(load_settings(Recipe, recipe))
    loop = build_loop(run, world / "out")
    batch = next(iter(loop.train_batches))
    assert ("teacher" in batch) == (cache == "auto")
    assert run.teacher is not None
    exact = run.teacher(batch["noisy"])
    seen = {}
    task = loop.step.task  # type: ignore[attr-defined]
    gather = task.signals
    task.signals = lambda *given: seen.update(gather(*given)) or seen
    task.kd_level_db = None
    loop.step(batch, measure_balance=False)
    torch.testing.assert_close(seen["teacher"], exact, rtol=1e-5, atol=1e-7)


def test_a_teacher_that_is_needed_is_still_asked_for(write_recipe: Write, world: Path) -> None:
    for objective in (TERMS["bins"], FEATURES):
        with pytest.raises(UserError, match="`teacher` is missing"):
            train(write_recipe(objectives=[objective]), output=world / "out")


@pytest.fixture
def read_only_set(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The training set's folder, in which nothing may be made; not by root either."""
    make = Path.mkdir

    def refuse(self: Path, *args: Any, **settings: Any) -> None:
        if self.is_relative_to(world / "train"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        make(self, *args, **settings)

    monkeypatch.setattr(Path, "mkdir", refuse)
    return world / "train"


def test_on_a_read_only_set_the_teacher_runs_along(
    write_recipe: Write, world: Path, distilled: dict[str, Any], read_only_set: Path,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    out = train(write_recipe(**distilled), output=world / "out")
    assert "teachers run along at every step; teacher_use.cache_folder" in capsys.readouterr().out
    live = train(write_recipe("live", teacher_use={"cache": "never"}, **distilled), output=world / "live")
    assert same(weights(out), weights(live))


def test_a_read_only_cache_folder_is_refused_with_the_remedy(
    write_recipe: Write, world: Path, distilled: dict[str, Any], read_only_set: Path
) -> None:
    use = {"cache_folder": str(read_only_set / "kept")}
    with pytest.raises(
        UserError, match=r"cache_folder: .*name another folder, or set teacher_use\.cache=never"
    ):
        train(write_recipe(teacher_use=use, **distilled), output=world / "out")


def test_outputs_that_are_kept_already_need_no_writing(
    write_recipe: Write, world: Path, distilled: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_settings(Recipe, write_recipe(**distilled))
    build_loop(prepare_run(recipe), world / "first")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(os, "open", refuse)
    loop = build_loop(prepare_run(recipe), world / "second")
    assert "teacher" in next(iter(loop.train_batches))
