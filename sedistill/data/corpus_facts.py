"""corpus.yaml: what a corpus says of itself as a whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from sedistill.common.errors import UserError
from sedistill.common.integrity import CHECKSUM, facts_checksum
from sedistill.common.reading import is_taken, require_folder
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import atomic_path
from sedistill.common.yaml_files import yaml_text
from sedistill.data.manifest import MANIFEST

FORMAT_VERSION = 1
FACTS = "corpus.yaml"
SHARDS = "shards"
"""The key of the place of the shards; without it the audio lies in files."""
PREPARE_AGAIN = "prepare the corpus again"


class _Facts(Record):
    """What corpus.yaml has to hold."""

    sample_rate: Annotated[int, Field(ge=1, le=10_000_000)]
    roots: dict[str, str]
    hash: str


def _checksum(facts: Mapping[str, Any]) -> str:
    """Over all facts but the places of the audio, which may be corrected by hand."""
    return facts_checksum({name: value for name, value in facts.items() if name not in ("roots", SHARDS)})


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write corpus.yaml, whole or not at all."""
    text = yaml_text({**facts, CHECKSUM: _checksum(facts)})
    with atomic_path(folder / FACTS) as path:
        path.write_text(text, encoding="utf-8")


def refuse_changed(folder: Path, facts: Mapping[str, Any], manifest_hash: str) -> None:
    """Raise UserError where corpus.yaml or corpus.csv is not what was written.

    Corpora from before there were checksums are believed.
    """
    sound = {FACTS: facts.get(CHECKSUM) in (None, _checksum(facts)),
             MANIFEST: facts.get("manifest_sha256") in (None, manifest_hash)}  # fmt: skip
    for name, fine in sound.items():
        if not fine:
            raise UserError(
                f"{folder / name} was changed since it was written (only the `roots` and `shards` in "
                f"{FACTS} may be); put back what was there, or {PREPARE_AGAIN}."
            )


def read_facts(folder: Path) -> dict[str, Any]:
    """What corpus.yaml says. Raises UserError: there is none, or it does not hold what it should."""
    path = folder / FACTS
    if is_taken(folder):
        require_folder(folder, "give a folder written by `sedistill prepare`")
    if not is_taken(path):
        raise UserError(
            f"{folder} is not a prepared corpus (it has no {FACTS}); make one with `sedistill prepare`."
        )
    return read_record(_Facts, path, PREPARE_AGAIN, FORMAT_VERSION)
