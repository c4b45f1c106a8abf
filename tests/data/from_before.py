"""Corpora and sets as they were before they held hashes of their files."""

from pathlib import Path

import yaml


def without_hashes(folder: Path) -> Path:
    """Take the hashes out of a corpus or a set."""
    for facts in (path for name in ("corpus.yaml", "set.yaml") if (path := folder / name).exists()):
        written = yaml.safe_load(facts.read_text(encoding="utf-8"))
        for key in ("checksum", "files_hash", "manifest_sha256", "table_sha256"):
            written.pop(key, None)
        facts.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    (folder / "files.csv").unlink(missing_ok=True)
    return folder
