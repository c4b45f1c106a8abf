"""Writes the documentation as a site of pages that need no network: python docs/build_site.py [FOLDER].

Its pages are those of docs/, README, CONTRIBUTING and CHANGELOG, and what api_pages.py makes of docstrings.
mkdocs.yml says how they look and in which order they come.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from api_pages import PAGES, api_page

ROOT = Path(__file__).parent.parent
AT_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def write_pages(folder: Path) -> None:
    """Put the Markdown of the whole site into a new folder."""
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("*.py", "*.jinja", "__pycache__"))
    for source, page in AT_ROOT.items():
        text, outside = as_in_docs((ROOT / source).read_text("utf-8"))
        (folder / page).write_text(text, encoding="utf-8")
        for path in outside:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    (folder / "api").mkdir()
    for page in PAGES:
        (folder / "api" / f"{page}.md").write_text(api_page(page), encoding="utf-8")


def as_in_docs(text: str) -> tuple[str, list[str]]:
    """Markdown of the root as if it stood in docs/, and the files outside of docs/ that it links to."""
    outside = []

    def moved(link: re.Match[str]) -> str:
        path = link[1].removeprefix("docs/")
        if path == link[1] and path not in AT_ROOT:
            outside.append(path)
        return f"]({AT_ROOT.get(path, path)}"

    return re.sub(r"\]\((?!https?:|mailto:|#)([^)#]+)", moved, text), outside


def build(site: Path) -> None:
    """Write the site into a folder, in place of an earlier one; a broken link ends it with exit code 1."""
    with tempfile.TemporaryDirectory() as place:
        write_pages(Path(place) / "docs")
        shutil.copy(ROOT / "mkdocs.yml", place)
        built = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict"], cwd=place, check=False
        )
        if built.returncode:
            sys.exit(1)
        shutil.rmtree(site, ignore_errors=True)
        shutil.move(Path(place) / "site", site)
    print(f"To read it: python -m http.server -d {site}, then http://localhost:8000 in a browser.")


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site"))
