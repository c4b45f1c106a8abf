"""From settings to losses: every setting arrives where it belongs."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import pytest
import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import nn

from sedistill.common.errors import UserError
from sedistill.distill import BIN_LOSSES, OTHER_LOSSES
from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD
from sedistill.distill.dfkd import DFKDLoss
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.frame_kl import FrameKL
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.distill.gram import GramSimilarity
from sedistill.distill.layer_attention import LayerAttention
from sedistill.distill.multi_view import MultiViewAttentionTransfer
from sedistill.distill.patches import MultiScalePatches, UniformPatches
from sedistill.distill.signal_objective import SignalObjective
from sedistill.distill.subband import SubbandKD
from sedistill.distill.taps import features_of
from sedistill.distill.waveform import SISNRTarget, WaveformL1, WaveformL2
from sedistill.models.presets import build_model
from sedistill.training.recipe.objectives import (
    KINDS,
    LOSSES,
    AnyObjective,
    ObjectiveSettings,
    keys_of,
    objective_kind,
    objective_names,
)

ANY_NETWORK = nn.Module()
LAYERS = [["separator.blocks.0", "separator.blocks.1"]]


def read(**settings: Any) -> ObjectiveSettings:
    return TypeAdapter(AnyObjective).validate_python(settings)


def build(**settings: Any) -> Any:
    student = build_model({"preset": "convtasnet-tiny", "filters": 16, "blocks": 2, "repeats": 1})
    teacher = build_model(
        {"preset": "convtasnet-tiny", "filters": 16, "blocks": 3, "repeats": 1, "hidden": 8}
    )
    return read(**settings).build(student, teacher)


def test_full_method() -> None:
    built = build(loss="dfkd", beta=0.3, keep=0.8, patches="multi-scale", low_patch_size=5, scan="descending")
    assert isinstance(built, DISPatch)
    adapter = FrequencyAdapter(scan="descending")
    assert built.loss == DFKDLoss(beta=0.3, adapter=adapter)
    assert built.patches == MultiScalePatches(5, 40)
    assert built.keep == 0.8


def test_scan_reaches_the_patches_of_a_loss_without_bands() -> None:
    built = build(loss="l2", patches="multi-scale", scan="descending", min_bin=4)
    assert built.adapter == FrequencyAdapter(scan="descending", min_bin=4)


@pytest.mark.parametrize("loss", BIN_LOSSES)
def test_a_gate_arrives_with_every_bin_loss(loss: str) -> None:
    built = build(loss=loss, patches="multi-scale", gate="teacher_over_both", gate_softness=0.5)
    assert (built.gate, built.gate_softness, built.keep) == ("teacher_over_both", 0.5, 1.0)
    assert built.needs == ("student", "teacher", "clean", "noisy")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"loss": "l2", "gate_softness": 0.5}, "gate_softness = 0.5 belongs to a gate"),
        ({"loss": "l2", "gate": "noisy"}, "gate"),
        ({"loss": "l2", "gate": "teacher_over_noisy", "gate_softness": 1.5}, "gate_softness"),
        ({"loss": "si_snr", "gate": "teacher_over_noisy"}, "gate does not go with si_snr"),
    ],
)
def test_gates_that_cannot_be(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        read(**settings)


@pytest.mark.parametrize("loss", BIN_LOSSES)
def test_defaults_are_plain_distillation_and_every_bin_loss_can_be_selected_from(loss: str) -> None:
    plain, selective = build(loss=loss), build(loss=loss, keep=0.8)
    assert (plain.keep, plain.patches, plain.target) == (1.0, UniformPatches(20), "teacher")
    assert type(plain.loss) is type(selective.loss) is BIN_LOSSES[loss]
    assert selective.keep == 0.8


@pytest.mark.parametrize(
    ("settings", "built"),
    [
        ({"loss": "si_snr", "target": "clean"}, SISNRTarget(target="clean")),
        ({"loss": "waveform_l1"}, WaveformL1()),
        ({"loss": "waveform_l2", "target": "clean"}, WaveformL2(target="clean")),
        ({"loss": "kl", "temperature": 2}, FrameKL(temperature=2)),
        ({"loss": "kl", "distribution": "normalized"}, FrameKL(distribution="normalized")),
        ({"loss": "clean_and_noise", "weight_from": "clean"}, CleanAndNoiseKD(weight_from="clean")),
        ({"loss": "subband", "target": "clean", "bands": 3, "bands_used": [1]},
         SubbandKD(target="clean", bands=3, bands_used=(1,))),
        ({"loss": "subband", "bands": [1000], "teachers": ["a", "b"]}, SubbandKD(bands=(1000.0,))),
        ({"loss": "attention", "pairs": LAYERS, "distance": "mse", "reduction": "sum"},
         AttentionTransfer(LAYERS, distance="mse", reduction="sum")),
        ({"loss": "gram", "pairs": LAYERS, "frames": 9},
         GramSimilarity(LAYERS, frames=9)),
    ],
    ids=lambda value: value.get("loss") if isinstance(value, dict) else "",
)  # fmt: skip
def test_settings_arrive(settings: dict[str, Any], built: object) -> None:
    assert build(**settings) == built


def test_layer_attention_is_made_for_the_layers_it_sees() -> None:
    built = build(
        loss="layer_attention",
        student_layers=["separator.blocks.1"],
        teacher_layers=["separator.blocks.0", "separator.blocks.2"],
        width=5,
    )
    assert isinstance(built, LayerAttention)
    assert (built.student_taps, built.teacher_taps) == (
        ("separator.blocks.1",),
        ("separator.blocks.0", "separator.blocks.2"),
    )


def test_multi_view_pairs_the_layers_of_two_manners_by_depth() -> None:
    student = build_model({"class": "MANNER", "channels": 6, "depth": 2})
    teacher = build_model({"class": "MANNER", "channels": 6, "depth": 3, "attention": "all"})
    built = read(loss="multi_view_attention", views=["global"]).build(student, teacher)
    assert isinstance(built, MultiViewAttentionTransfer)
    assert set(built.pairs) == {
        (f"{side}.2", f"{side}.{n}") for side in ("encoder", "decoder") for n in (2, 3)
    }
    assert built.views == ("global",)


def test_features_are_looked_at_without_a_trace() -> None:
    network = build_model("manner-s-1.5gf").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    features_of(network, ["encoder.1"], "student")
    assert network.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("loss", ["attention", "gram"])
def test_features_need_a_teacher(loss: str) -> None:
    with pytest.raises(UserError, match=f"loss: {loss} compares features"):
        read(loss=loss, pairs=[["a", "b"]]).build(ANY_NETWORK, None)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"loss": "l2"}, "l2"),
        ({"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"}, "dfkd+dispatch+mssp"),
        ({"loss": "complex_l2", "keep": 0.5, "score": "random"}, "complex_l2+random"),
        ({"loss": "l1", "target": "clean"}, "l1>clean"),
        ({"loss": "l2", "keep": 0.8, "gate": "teacher_over_noisy"}, "l2+dispatch+teacher_over_noisy"),
        ({"loss": "kl", "distribution": "normalized"}, "kl_normalized"),
        ({"loss": "si_snr"}, "si_snr"),
        ({"loss": "subband", "target": "teacher"}, "subband>teacher"),
        ({"loss": "clean_and_noise"}, "clean_and_noise"),
        ({"loss": "gram", "pairs": [["a", "b"]]}, "gram"),
    ],
)
def test_names_say_what_is_done(settings: dict, name: str) -> None:
    assert objective_names([read(**settings)]) == [name]


def test_equal_objectives_get_distinct_names() -> None:
    assert len(set(objective_names([read(loss="l2"), read(loss="l2", keep=1.0)]))) == 2


def test_every_loss_is_read_by_one_kind() -> None:
    losses = [loss for kind in KINDS for loss in get_args(kind.model_fields["loss"].annotation)]
    assert len(losses) == len(set(losses))
    assert losses == [*BIN_LOSSES, *OTHER_LOSSES]


def _out_of_bounds() -> Iterator[Any]:
    for name, loss in LOSSES.items():
        for key, (kind, _) in keys_of(loss).items():
            limits = [limit for mark in kind.__metadata__ for limit in mark.metadata]
            values = [one.ge - 1 for one in limits if hasattr(one, "ge")]
            values += [one.gt for one in limits if hasattr(one, "gt")]
            values += [one.le + 1 for one in limits if hasattr(one, "le")]
            yield from (pytest.param(name, key, value, id=f"{name}.{key}={value}") for value in values)


@pytest.mark.parametrize(("loss", "key", "value"), list(_out_of_bounds()))
def test_recipe_and_constructor_refuse_the_same(loss: str, key: str, value: float) -> None:
    needed = {"pairs": [("a", "b")]} if "pairs" in inspect.signature(LOSSES[loss]).parameters else {}
    layers = {"student_layers": ["a"], "teacher_layers": ["b"]} if loss == "layer_attention" else {}
    with pytest.raises(ValidationError, match=key):
        read(loss=loss, **{**needed, **layers, key: value})
    if loss == "layer_attention":
        needed = {"student_sizes": {"a": 2}, "teacher_sizes": {"b": 2}}
    with pytest.raises(UserError, match=f"^{key} = "):
        LOSSES[loss](**{**needed, key: value})


def test_a_loss_needs_no_more_than_its_class_to_be_in_recipes() -> None:
    @dataclass(frozen=True)
    class Power(SignalObjective):
        """A new one."""

        exponent: Annotated[float, Field(gt=0, le=4, description="Of the difference.")] = 2.0
        detail: int = 1  # without a description, so for Python alone

        def per_clip(self, signals: Mapping[str, torch.Tensor]) -> torch.Tensor:
            return ((signals["student"] - signals["teacher"]).abs() ** self.exponent).mean(dim=1)

    kind = objective_kind({"power": Power})
    assert list(kind.model_fields) == ["loss", "weight", "exponent"]
    built = kind.model_validate({"loss": "power", "exponent": 3}).build(ANY_NETWORK, None)
    assert built == Power(3)
    for wrong in ({"exponent": 5}, {"detail": 2}, {"keep": 0.5}):
        with pytest.raises(ValidationError):
            kind.model_validate({"loss": "power", **wrong})
