"""Multi-view attention transfer: attention transfer in each view of the attention blocks of MANNER."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from sedistill.common.argument_checks import check_choice
from sedistill.common.errors import UserError
from sedistill.common.setting_faults import value_text
from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.feature_objective import Features, checked_pairs, distinct
from sedistill.distill.taps import near_names

VIEWS: tuple[Literal["channel", "global", "local"], ...] = ("channel", "global", "local")
SINGLE_VIEW = "single_view"


@dataclass(frozen=True)
class MultiViewAttentionTransfer(AttentionTransfer):
    """Attention transfer in the channel, global and local view, summed over views and layers (MV-AT 2022).

        kd = MultiViewAttentionTransfer.between(student, teacher)  # the paper's pairs of layers

    pairs: (student's layer, teacher's layer), each with an attention block of which every view is a module:
        "encoder.3" stands for encoder.3.attention.channel and so on.
    views: any of "channel", "global", "local".
    tap: "view", the output of the attention itself, or "after", that of the convolution behind it.
    single_view_pairs: layers to compare by their own output where one of both has no attention block.
    map_power, distance, reduction, interpolate_to: as in AttentionTransfer.

    All terms count alike. Raises UserError for impossible settings.
    """

    views: Annotated[
        Sequence[Literal["channel", "global", "local"]],
        Field(
            min_length=1,
            description="Of the three attentions of MANNER's blocks, those that are compared.",
        ),
    ] = VIEWS
    tap: Annotated[
        Literal["view", "after"], Field(description="The attention itself, or the convolution behind.")
    ] = "view"
    single_view_pairs: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_views(self.views)
        object.__setattr__(self, "views", tuple(self.views))
        given = self.single_view_pairs
        single = (
            () if isinstance(given, list | tuple) and not given else checked_pairs("single_view_pairs", given)
        )
        object.__setattr__(self, "single_view_pairs", single)

    @classmethod
    def between(
        cls, student: nn.Module, teacher: nn.Module, *,
        pairs: Annotated[
            Sequence[tuple[str, str]] | None,
            Field(
                description="[[layer of the student, of the teacher], ...], such as encoder.3; default: by "
                "depth."
            ),
        ] = None,
        dual_depth: Annotated[
            bool, Field(description="By depth: the student's deepest also learns from the next one.")
        ] = True,
        fallback: Annotated[
            Literal["single_view"] | None,
            Field(description="By depth: compare layers without the block by their output."),
        ] = None,
        **settings: Any,
    ) -> "MultiViewAttentionTransfer":  # fmt: skip
        """Pair the layers of two networks with MANNER's names of modules by depth, 1 next to the waveform.

        pairs: where they are given, these and nothing by depth.
        In encoder and decoder every layer of the student is paired with the teacher's of the same depth;
        with `dual_depth` its deepest also with the next deeper one of a teacher that has it. Of these pairs
        those count where both have the attention block.

        fallback: None leaves the others out; "single_view" compares them by the layers' outputs.
        settings: all others of the class, except the pairs.

        Raises UserError when a network has no such block, when no pair is left, and when the student is the
        deeper one, for which the paper has no rule.
        """
        if pairs is not None:
            return cls(pairs, **settings)
        if fallback is not None:
            check_choice("fallback", fallback, (SINGLE_VIEW,))
        views, tap = settings.get("views", VIEWS), settings.get("tap", "view")
        _check_views(views)
        check_choice("tap", tap, ("view", "after"))
        ours, theirs = (
            _blocks(net, views, tap, who) for net, who in ((student, "student"), (teacher, "teacher"))
        )
        multi_view: list[tuple[str, str]] = []
        single_view: list[tuple[str, str]] = []
        for pair in _pairs_by_depth(student, teacher, dual_depth):
            both = pair[0] in ours and pair[1] in theirs
            (multi_view if both else single_view).append(pair)
        if not multi_view:
            more = "give pairs" if dual_depth else "set dual_depth, or give pairs"
            raise UserError(
                "no layer's attention block has a partner of its depth: the student has them in "
                f"{', '.join(ours)}, the teacher in {', '.join(theirs)}; {more}."
            )
        return cls(multi_view, single_view_pairs=single_view if fallback else (), **settings)

    @classmethod
    def refuse(cls, settings: Mapping[str, Any], given: Collection[str]) -> None:
        """Raises UserError where pairs are given and found by depth."""
        if settings["pairs"] is not None and {"dual_depth", "fallback"} & set(given):
            raise UserError("dual_depth and fallback find pairs by depth; take them out or take out pairs.")

    @property
    def student_taps(self) -> tuple[str, ...]:
        return distinct(student for pairs in self.pairs_by_view.values() for student, _ in pairs)

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        return distinct(teacher for pairs in self.pairs_by_view.values() for _, teacher in pairs)

    @property
    def pairs_by_view(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """The pairs of modules that are compared, by view; "single_view" where there are such."""
        by_view = {
            view: tuple((module_of(s, view, self.tap), module_of(t, view, self.tap)) for s, t in self.pairs)
            for view in self.views
        }
        return by_view | ({SINGLE_VIEW: tuple(self.single_view_pairs)} if self.single_view_pairs else {})

    def with_parts(
        self, *, student_features: Features, teacher_features: Features
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss; to log "loss" and each view's share of it by its name (0-dim, without gradient)."""
        terms = {
            view: self._sum_over(pairs, student_features, teacher_features).mean()
            for view, pairs in self.pairs_by_view.items()
        }
        loss = sum(terms.values(), start=next(iter(terms.values())).new_zeros(()))
        return loss, {"loss": loss.detach()} | {view: term.detach() for view, term in terms.items()}


def module_of(layer: str, view: str, tap: str) -> str:
    """The module in which a layer shows a view."""
    return f"{layer}.attention.{view}" if tap == "view" else f"{layer}.attention.{view}_after"


def _check_views(views: Sequence[str]) -> None:
    given = list(views) if isinstance(views, list | tuple) else []
    if not given or any(given.count(view) > 1 for view in given):
        shown = (
            value_text(views) if not isinstance(views, list | tuple) else ", ".join(map(value_text, views))
        )
        raise UserError(f"views = [{shown}]: give a list of different ones of {', '.join(VIEWS)}.")
    for view in given:
        check_choice("views", view, VIEWS)


def _blocks(network: nn.Module, views: Sequence[str], tap: str, whose: str) -> list[str]:
    """The layers of a network with an attention block that shows all views."""
    names = {name for name, _ in network.named_modules()}
    blocks = [
        layer
        for layer in names
        if _depth(layer) and all(module_of(layer, view, tap) in names for view in views)
    ]
    if blocks:
        return sorted(blocks)
    wanted = module_of("encoder.1", views[0], tap)
    raise UserError(
        f"the {whose} has no attention block: modules such as {wanted} are missing (near are "
        f"{', '.join(near_names(network, wanted))}); take MANNER, or `loss: attention` with pairs."
    )


def _pairs_by_depth(student: nn.Module, teacher: nn.Module, dual_depth: bool) -> Iterator[tuple[str, str]]:
    for part in ("encoder", "decoder"):
        ours, theirs = _deepest(student, part), _deepest(teacher, part)
        if ours > theirs:
            raise UserError(
                f"the student's {part} has {ours} layers and the teacher's {theirs}, and for a "
                "student deeper than its teacher there is no rule of pairing; give pairs."
            )
        yield from ((f"{part}.{depth}", f"{part}.{depth}") for depth in range(1, ours + 1))
        if dual_depth and 0 < ours < theirs:
            yield f"{part}.{ours}", f"{part}.{ours + 1}"


def _deepest(network: nn.Module, part: str) -> int:
    return max((_depth(name) for name, _ in network.named_modules() if name.startswith(part)), default=0)


def _depth(name: str) -> int:
    """N of "encoder.N" and "decoder.N", 0 for all other names."""
    layer = re.fullmatch(r"(?:encoder|decoder)\.(\d+)", name)
    return int(layer[1]) if layer else 0
