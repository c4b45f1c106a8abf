"""The documentation holds together: links, anchors, the order of the site, the pages from docstrings."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import sedistill
from sedistill.evaluation.score_files import write_scores
from sedistill.evaluation.scores import ClipScore, SetScores, load_scores

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


@pytest.fixture
def api_pages(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(DOCS))
    return pytest.importorskip("api_pages")


def links(text: str) -> Iterator[str]:
    """Where a page's links and images lead, those by reference too; nothing of code."""
    prose = re.sub(r"^ *```.*?^ *```|^ {4}.*?$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"\]\(([^)\s]+)[^)]*\)", prose)
    yield from re.findall(r"^\[[^\]]+\]: (\S+)", prose, re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere; those into the web are not followed."""
    found = []
    for link in links(page.read_text("utf-8")):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        if re.match(r"https?://|mailto:", link):
            continue
        exists = target.exists() and target.resolve().is_relative_to(ROOT.resolve())
        if not exists or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_broken_links_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# The other, one\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#the-other-one) [b](other.md#else) [c](none.md) ![d](x.svg) `[e](code)`\n[f]: #gone\n"
    )
    assert broken(page) == ["other.md#else", "none.md", "x.svg", "#gone"]


def test_the_note_is_what_its_scores_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    made = pytest.importorskip("write_note").note()
    assert made == (DOCS / "note.md").read_text("utf-8"), "run python docs/write_note.py"


@pytest.fixture
def keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """docs/keep_evidence.py, which keeps in the folder "kept" here, and finds these shares of patches."""
    monkeypatch.syspath_prepend(str(DOCS))
    script = pytest.importorskip("keep_evidence")
    monkeypatch.setattr(script, "EVIDENCE", tmp_path / "kept")
    monkeypatch.setattr(script, "SCORES", tmp_path / "kept" / "scores")
    monkeypatch.setattr(script, "shares_of_patches", lambda folder: [50.0, 40.0, 1.0, 9.0])
    return script


def test_a_student_is_kept_once_with_its_scores(tmp_path: Path, keeping: Any) -> None:
    run = Path("students") / "held" / "seed-2"
    student = tmp_path / "out" / "runs" / "evidence" / run / "student"
    student.mkdir(parents=True)
    (student.parent / "patches.npz").touch()
    (student / "card.yaml").write_text(f"class: Network  # of {tmp_path}/out/recipes\n")
    _evaluation(tmp_path / "kept" / "scores", {"noisy": 1.0, "alone": 2.0}, "students/alone")
    _evaluation(
        tmp_path / "out" / "evaluations" / "evidence" / run, {"noisy": 1.0, "student": 3.0}, "students/held"
    )

    keeping.keep(tmp_path / "out")
    keeping.keep(tmp_path / "out")

    kept = load_scores(tmp_path / "kept" / "scores")["home"]
    assert {row.model: row.values["stoi"] for row in kept.clips} == {
        "noisy": 1.0, "alone": 2.0, "students/held/seed-2": 3.0,
    }  # fmt: skip
    assert kept.facts["models"]["students/held/seed-2"]["recipe"] == "students/held"
    assert (tmp_path / "kept" / run / "card.yaml").read_text() == "class: Network  # of recipes\n"
    assert (tmp_path / "kept" / "patches.csv").read_text() == (
        "student,converging,converged,challenging,exploding\nstudents/held/seed-2,50.0,40.0,1.0,9.0\n"
    )


def test_an_output_without_evaluations_of_evidence_is_refused(tmp_path: Path, keeping: Any) -> None:
    with pytest.raises(FileNotFoundError, match="no evaluations of evidence"):
        keeping.keep(tmp_path / "out")


def test_a_student_that_was_kept_half_is_kept_whole_by_the_next_call(
    tmp_path: Path, keeping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended while the student is copied, and at the very end: its folder says that nothing is to be done."""
    kept, out, run = tmp_path / "kept", tmp_path / "out", Path("students/held/seed-2")
    student = out / "runs/evidence" / run / "student"
    student.mkdir(parents=True)
    (student / "card.yaml").write_text("class: Network\n")
    (student / "model.safetensors").touch()
    (student.parent / "patches.npz").touch()
    _evaluation(kept / "scores", {"noisy": 1.0, "alone": 2.0}, "students/alone")
    _evaluation(out / "evaluations/evidence" / run, {"noisy": 1.0, "student": 3.0}, "students/held")
    add_patches = keeping.add_patches

    def ending(*given: object) -> None:
        add_patches(*given)
        raise KeyboardInterrupt

    for name, ended in (("shutil.copytree", _ending_after_the_card), ("keep_evidence.add_patches", ending)):
        with monkeypatch.context() as patch:
            patch.setattr(name, ended)
            with pytest.raises(KeyboardInterrupt):
                keeping.keep(out)
    keeping.keep(out)

    assert {path.name for path in (kept / run).iterdir()} == {"card.yaml", "model.safetensors"}
    assert load_scores(kept / "scores")["home"].models == ["noisy", "alone", "students/held/seed-2"]
    assert {path.name for path in (kept / "scores/home").iterdir()} == {"clips.csv", "evaluation.yaml"}
    assert (kept / "patches.csv").read_text().count("students/held/seed-2") == 1


@pytest.mark.parametrize(
    ("other", "words"), [({}, r"\['home'\], not on"), ({"set_hash": "b"}, "another set")]
)
def test_nothing_is_kept_of_scores_on_other_sets(
    tmp_path: Path, keeping: Any, other: dict[str, str], words: str
) -> None:
    kept, out, run = tmp_path / "kept", tmp_path / "out", Path("students/held/seed-2")
    (out / "runs/evidence" / run / "student").mkdir(parents=True)
    (out / "runs/evidence" / run / "student" / "card.yaml").touch()
    for name in ("home", "later"):
        _evaluation(kept / "scores", {"noisy": 1.0}, "none", name)
    place = out / "evaluations/evidence" / run
    _evaluation(place, {"noisy": 1.0, "student": 3.0}, "students/held")
    if other:
        _evaluation(place, {"noisy": 1.0, "student": 3.0}, "students/held", "later", **other)

    with pytest.raises(ValueError, match=words):
        keeping.keep(out)

    assert not (kept / run).exists()
    assert {tuple(scores.models) for scores in load_scores(kept / "scores").values()} == {("noisy",)}


def test_what_is_kept_is_taken_up_with_its_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    taking_up = pytest.importorskip("take_up_evidence")
    kept, out, run = tmp_path / "kept", tmp_path / "out", Path("students/held/seed-0")
    monkeypatch.setattr(taking_up, "EVIDENCE", kept)
    monkeypatch.setattr(taking_up, "SCORES", kept / "scores")
    (kept / run).mkdir(parents=True)
    (kept / run / "card.yaml").write_text("class: Network\n")
    (kept / run / "model.safetensors").touch()
    _evaluation(kept / "scores", {"noisy": 1.0, "alone": 2.0}, "evidence/students/held")
    _evaluation(kept / "teacher", {"noisy": 1.0, "deepfilternet": 3.0}, "none")
    place = out / "evaluations" / "evidence" / run

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", _ending_after_the_card)
        with pytest.raises(KeyboardInterrupt):
            taking_up.take_up(out)
    taking_up.take_up(out)
    (place / "home" / "clips.csv").unlink()  # and now: what is there stays as it is
    taking_up.take_up(out)

    student = out / "runs" / "evidence" / run / "student"
    assert {path.name for path in student.iterdir()} == {"card.yaml", "model.safetensors"}
    assert (place / "home" / "evaluation.yaml").is_file()
    assert not (place / "home" / "clips.csv").exists()
    teacher = load_scores(out / "evaluations" / "models" / "deepfilternet")["home"]
    assert {row.model: row.values["stoi"] for row in teacher.clips} == {"noisy": 1.0, "deepfilternet": 3.0}


def _evaluation(
    place: Path, by_model: dict[str, float], recipe: str, name: str = "home", set_hash: str = "a"
) -> None:
    (place / name).mkdir(parents=True)
    clips = [ClipScore(model, "1", 4.0, 0.0, "", {"stoi": value}) for model, value in by_model.items()]
    models = {model: {"recipe": recipe, "seed": 0} for model in by_model if model != "noisy"}
    facts = {"metrics": {"stoi": "STOI"}, "set": {"hash": set_hash}, "models": models}
    write_scores(place / name, SetScores(name, ["stoi"], clips, facts))


def _ending_after_the_card(source: Path, target: Path, **_: object) -> None:
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(source) / "card.yaml", target)
    raise KeyboardInterrupt


def test_the_site_shows_every_page(api_pages: object) -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    shown = re.findall(r"[\w/-]+\.md", str(nav))
    expected = {page.name for page in DOCS.glob("*.md")} | {f"api/{page}.md" for page in api_pages.PAGES}
    assert set(shown) == expected | {"index.md", "contributing.md", "changelog.md"}
    assert len(shown) == len(set(shown))


def test_every_public_name_is_on_one_page_with_its_docstring(api_pages: object) -> None:
    names = [name for page in api_pages.PAGES for name in api_pages.names_on(page)]
    assert sorted(names) == sorted(set(sedistill.__all__) - {"__version__"})
    page = api_pages.api_page("objectives")
    assert "## DISPatch\n\n```python\nDISPatch(\n    loss: BinLoss,\n" in page
    assert "- `keep`: " in page or "keep: the paper's" in page
    assert "```pycon\n>>> " in page


def test_docstrings_are_not_taken_for_markup(api_pages: object) -> None:
    docstring = "a < b * c, `x_ < y`, _z.\n\nwidth, height: in m,\n    both.\ndepth: in m.\n\n>>> 1 + 1\n2"
    assert api_pages.as_markdown(docstring) == (
        "a &lt; b \\* c, `x_ < y`, \\_z.\n\n"
        "- `width, height`: in m,\n    both.\n- `depth`: in m.\n\n"
        "```pycon\n>>> 1 + 1\n2\n```"
    )


@pytest.mark.slow
def test_the_site_is_built(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the site is built by zensical, which is not installed")
    subprocess.run([sys.executable, DOCS / "build_site.py", tmp_path / "site"], check=True)
    pages = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*.html")}
    assert {"index.html", "first-hour.html", "api/objectives.html", "changelog.html"} <= pages
    start = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert 'href="first-hour.html"' in start
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="(https?:)?//', start)  # it needs no network


def test_every_dependency_is_on_the_page_with_its_licence() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.scripts]")[0]
    named = {name.lower() for name in re.findall(r'"([\w-]+)>=[\w.]+"', project)} | {"types-pyyaml"}
    page = (DOCS / "security.md").read_text("utf-8").partition("## Dependencies")[2]
    rows = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    assert {"numpy", "pipecat-ai", "selenium"} <= named
    assert not named - {name for row in rows for name in re.findall(r"[\w-]+", row)}


def test_the_scripts_that_the_pages_name_are_there() -> None:
    named = {
        path
        for page in PAGES
        for path in re.findall(r"\b(?:tests|benchmarks|examples)/[\w/-]+\.py", page.read_text("utf-8"))
    }
    assert len(named) > 50
    assert not [path for path in sorted(named) if not (ROOT / path).is_file()]


def test_the_files_that_the_architecture_names_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?)[`:]", text))
    assert len(named) > 40
    places = (
        ROOT / "sedistill",
        ROOT / "sedistill/training",
        ROOT / "sedistill/models",
        ROOT / "sedistill/workflows",
    )
    places += (ROOT / "sedistill/inference", ROOT / "sedistill/evaluation", ROOT / "sedistill/common", ROOT)
    lost = {name for name in named if not any((place / name).exists() for place in places)}
    assert not lost - {"teacher-outputs/"}
