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
    ["common.errors", "common.wording"],
    ["common.extensions", "common.extras"],
    ["common.reading", "common.interruption", "common.console", "common.interpreters"],
    ["common.integrity", "common.ranks", "common.onnx_models", "common.child_processes"],
    [
        "common.writing",
        "common.paths",
        "common.yaml_files",
        "common.progress",
        "common.devices",
        "common.freed_memory",
        "common.torchrun",
        "common.agreement",
    ],
    ["common.overrides", "common.setting_faults", "common.parallel"],
    ["common.settings"],
    [
        "common.csv_files",
        "common.csv_index",
        "common.texts",
        "common.argument_checks",
        "common.batch_axes",
        "common.provenance",
        "common.report",
    ],
    ["audio"],
    ["data", "models", "distill"],
    ["teachers", "inference"],
    ["evaluation"],
    ["inference.exporting"],
    ["training"],
    ["analyzing"],
    ["workflows"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: number for number, names in enumerate(STOREYS) for name in names}


def room(module: str) -> str | None:
    """Of "common.reading" itself, of "audio.files" "audio"; None of what is no room."""
    parts = module.split(".")
    return next((name for name in (".".join(parts[:2]), parts[0]) if name in LEVEL), None)


def imports(path: Path) -> Iterator[str]:
    """The rooms of this package that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            found = room(name.removeprefix("sedistill.")) if name.startswith("sedistill.") else None
            if found is not None:
                yield found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards_only(path: Path) -> None:
    place = path.relative_to(ROOT).with_suffix("").parts
    if place[-1] == "__init__" and len(place) <= 2:
        return  # the package's face names everything, lazily; a room's own says what it is
    own = room(".".join(place))
    assert own is not None, f"{place} has no storey; give it one in {Path(__file__).name}"
    for other in imports(path):
        assert other == own or LEVEL[other] < LEVEL[own], f"{path.name} imports {other} from {own}"


def test_the_document_has_the_number_of_arrows() -> None:
    """Between the package's folders."""
    arrows = {
        (path.relative_to(ROOT).parts[0], other.split(".")[0])
        for path in ROOT.glob("*/**/*.py")
        for other in imports(path)
    }
    arrows = {(one, other) for one, other in arrows if one != other}
    text = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"there are {len(arrows)} arrows" in text


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


SHARED_NAMES = {"__init__", "command", "report_text", "csv_rows"}
"""A room's command, its text for people and its rows for programs are the same thing in every room."""


def test_the_top_level_has_fifteen_things_at_most() -> None:
    assert len([place for place in ROOT.iterdir() if place.name != "__pycache__"]) <= 15


def test_only_a_compiled_training_loads_the_compiler() -> None:
    """A decorator would, whenever the file is imported: 1.4 s at the start of every command."""
    users = {path.stem for path in ROOT.rglob("*.py") if "torch.compiler.disable" in path.read_text()}
    assert users == {"compiled"}


def test_names_stand_for_one_thing() -> None:
    places: dict[str, list[Path]] = {}
    for path in ROOT.rglob("*.py"):
        places.setdefault(path.stem, []).append(path)
        defined = {getattr(node, "name", None) for node in ast.parse(path.read_text(encoding="utf-8")).body}
        assert path.stem not in defined, f"{path} is a module and what it defines"
    assert not {name: files for name, files in places.items() if len(files) > 1 and name not in SHARED_NAMES}
