"""One spelling: -ize, -yze, color. `optimiser` stays, as a recipe's key and what serves it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STEMS = (
    "normal|general|random|recogn|minim|maxim|final|summar|categor|organ|initial|emphas|equal|quant|serial|special"
    "|standard|penal|regular|visual|parametr|parameter|factor|vector|local|stabil|custom|prior|memor|synthes"
)
ENDINGS = "(?:e|ed|es|er|ers|ing|ation)(?![a-z])"
OTHER = re.compile(rf"(?:{STEMS})is{ENDINGS}|analys(?:e|ed|ing|er)(?![a-z])|colour", re.IGNORECASE)
READ = {".py", ".md", ".yaml", ".yml", ".toml", ".jinja", ".css", ".js", ".sh"}
FOREIGN = {"SOURCES.md", "sentences.yaml"}  # titles of others, and sentences in other languages


def files() -> list[Path]:
    below = [path for folder in ("sedistill", "docs") for path in (ROOT / folder).rglob("*")]
    found = [
        *ROOT.glob("*.md"),
        *(path for path in below if path.suffix in READ and path.name not in FOREIGN),
    ]
    return [path for path in found if path.name != "CHANGELOG.md"]  # it names what was renamed


@pytest.mark.parametrize(
    "word", ["COLOURS", "row_normalised_gram", "Generalised", "analysing", "synthesiser", "summarises"]
)
def test_the_other_spelling_is_found(word: str) -> None:
    assert OTHER.search(f"a {word} b")


@pytest.mark.parametrize(
    "word", ["optimiser", "noise", "raised", "analysis", "analyses", "synthesis", "normalized"]
)
def test_other_words_are_left_alone(word: str) -> None:
    assert not OTHER.search(f"a {word} b")


def test_there_is_one_spelling() -> None:
    assert len(files()) > 250
    found = {str(path.relative_to(ROOT)): OTHER.findall(path.read_text("utf-8")) for path in files()}
    assert {name: words for name, words in found.items() if words} == {}
    assert [path.name for path in files() if OTHER.search(path.name)] == []
