"""What `import sedistill` shows to people, editors and type checkers."""

import ast
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sedistill

ROOT = Path(__file__).parent.parent


def typed_names() -> dict[str, str]:
    """The imports under TYPE_CHECKING: public name -> its module, as in _HOMES."""
    tree = ast.parse(inspect.getsource(sedistill))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    homes = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name, f"{alias.name} is public as `X as X` alone"
            homes[alias.name] = str(node.module).removeprefix("sedistill.")
    return homes


def test_what_checkers_see_is_what_loads() -> None:
    assert typed_names() == sedistill._HOMES


@pytest.mark.parametrize("name", sedistill.__all__)
def test_every_public_name_loads_and_explains_itself(name: str) -> None:
    value = getattr(sedistill, name)
    assert name == "__version__" or inspect.getdoc(value)


def test_importing_the_package_imports_nearly_nothing() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import sedistill; dir(sedistill)"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    imported = {line.rpartition("|")[2].strip() for line in report.splitlines()}
    assert {name for name in imported if name.startswith("sedistill")} == {
        "sedistill",
        "sedistill.common",
        "sedistill.common.errors",
    }
    assert not imported & {"torch", "numpy", "pydantic", "soundfile", "yaml"}


@pytest.mark.parametrize(("typed", "meant"), [("enahnce", "enhance"), ("Dispatch", "DISPatch")])
def test_a_mistyped_name_is_told_the_near_one(typed: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{typed}'; did you mean {meant}?"):
        getattr(sedistill, typed)


def test_the_near_name_is_told_once() -> None:
    code = "import sedistill; sedistill.enahnce"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stderr.lower().count("did you mean") == 1


def test_help_shows_three_examples() -> None:
    described = pydoc.plaintext.document(sedistill)
    examples = re.findall(r"^\s*>>> .*sedistill\.(enhance|DISPatch|distil)\(", described, re.MULTILINE)
    assert examples == ["enhance", "DISPatch", "distil"]


@pytest.mark.slow
def test_a_type_checker_sees_the_real_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert (Path(sedistill.__file__).parent / "py.typed").exists()
    code = tmp_path / "user.py"
    code.write_text(
        "import sedistill\n"
        "reveal_type(sedistill.DISPatch)\n"
        "reveal_type(sedistill.load_scores)\n"
        "reveal_type(sedistill.mix)\n"
        "sedistill.enahnce\n"
    )
    command = [sys.executable, "-m", "mypy", str(code)]  # as `make check` runs it, so that both share a cache
    seen = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for name in ("DISPatch", "SetScores", "FixedSetSummary"):
        assert re.search(rf"Revealed type is .*sedistill\.[\w.]+\.{name}\W", seen), seen
    assert 'Module has no attribute "enahnce"' in seen, seen
