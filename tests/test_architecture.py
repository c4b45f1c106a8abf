"""The two sentences that hold the house together: imports run downwards only, and whoever does the losses
does not know the networks (nor the networks the losses)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sedistill

ROOT = Path(sedistill.__file__).parent
# From the ground up; a module may import its own storey's folder and anything below, never beside or above.
STOREYS = [
    ["errors"],
    ["extensions"],
    ["ready_made"],
    ["catalogue"],
    ["reading", "interruption", "console", "interpreters"],
    ["integrity"],
    ["writing", "paths", "yaml_files", "progress", "devices"],
    ["settings", "parallel"],
    ["csv_files", "argument_checks", "provenance"],
    ["audio"],
    ["data", "models", "distill"],
    ["teachers", "enhancing", "report"],
    ["streaming"],
    ["evaluation"],
    ["training", "exporting"],
    ["comparing", "analyzing", "checking"],
    ["demo", "reproducing", "distilling"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: number for number, names in enumerate(STOREYS) for name in names}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The rooms of this package that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "sedistill"
            names = [f"sedistill.{alias.name}" for alias in node.names] if whole else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "sedistill" and len(parts) > 1 and parts[1] in LEVEL:
                yield parts[1]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards_only(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return  # the package's face names everything, lazily
    assert own in LEVEL, f"{own} has no storey; give it one in {Path(__file__).name}"
    for other in imports(path):
        assert other == own or LEVEL[other] < LEVEL[own], f"{path.name} imports {other} from {own}"


@pytest.mark.parametrize("path", sorted((ROOT / "models").rglob("*.py")), ids=lambda p: p.name)
def test_no_network_imports_another_network(path: Path) -> None:
    """What siblings share is a layer."""
    networks = {path.stem for path in (ROOT / "models").glob("*.py") if makes_a_network(path)}
    assert {"convtasnet", "demucs", "gtcrn"} <= networks
    if path.stem in networks or path.parent.name == "layers":
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert node.module.removeprefix("sedistill.models.") not in networks, node.module


def makes_a_network(path: Path) -> bool:
    """Whether a module says which enhancement loss its network has."""
    return "    se_loss = " in path.read_text(encoding="utf-8")


def test_the_check_can_fail(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from sedistill.training.loop import Loop\n    import sedistill.cli\n")
    assert list(imports(file)) == ["training", "cli"]
