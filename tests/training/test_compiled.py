"""A student through torch.compile learns what it learns without it.

Traced and differentiated as on a GPU, but run as it is: making code for a CPU takes minutes.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.models.complexity import macs_per_second
from sedistill.models.presets import build_model
from sedistill.training.compiled import Compiled
from sedistill.training.run import train
from tests.training.runs import train_until_ctrl_c, weights

Write = Callable[..., Path]
COMPILED = {"hardware": {"device": "cpu", "threads": 1, "compile": True}}
FEATURES = {"loss": "attention", "pairs": [["encoder", "encoder"]]}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


@pytest.mark.usefixtures("traced")
def test_the_same_student_also_after_ctrl_c(
    write_recipe: Write, world: Path, distilled: dict[str, Any]
) -> None:
    distilled["objectives"].append(FEATURES)
    recipe = write_recipe(**distilled, **COMPILED)
    train_until_ctrl_c(recipe, world / "out", stop_at=5)
    compiled = train(recipe, output=world / "out")
    plain = weights(train(write_recipe("plain", **distilled), output=world / "plain"))
    for name, value in weights(compiled).items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-6)


def test_recurrences_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a compiler writes out every step of a clip."""
    seen: list[str] = []

    def noting(graph: torch.fx.GraphModule, _: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=noting))
    sizes = {"channels": 4, "convolutions": 1, "blocks": 1, "units": 4, "bands": 4}
    student = build_model({"class": "FastEnhancer", **sizes}).train()
    noisy = torch.randn(1, 1600)
    expected = student(noisy)
    torch.testing.assert_close(Compiled(student)(noisy), expected)
    assert any("scaled_dot_product" in one for one in seen)
    assert not any("gru" in one for one in seen)
    assert macs_per_second(student) == macs_per_second(
        build_model(student.settings | {"class": "FastEnhancer"})
    )


def test_what_cannot_be_compiled_is_refused_before_anything_is_written(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no working C++ compiler")

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=fails))
    with pytest.raises(UserError, match=r"hardware\.compile: .*no working C"):
        train(write_recipe(**COMPILED), output=world / "out")
    assert not (world / "out").exists()
