"""A prepared corpus turned into one of shards."""

import shutil
import tempfile
from pathlib import Path

from sedistill.common.csv_index import INDEX
from sedistill.common.errors import UserError
from sedistill.data.content_table import contents_hash
from sedistill.data.contents import FILES
from sedistill.data.corpus import Corpus
from sedistill.data.corpus_facts import FACTS, PREPARE_AGAIN, SHARDS, write_facts
from sedistill.data.manifest import MANIFEST
from sedistill.data.shards.members import MEMBERS, read_members, write_members
from sedistill.data.shards.ranges import is_url
from sedistill.data.shards.writing import Destination, write_shards


def open_destination(place: str, overwrite: bool) -> Destination:
    """Where shards are to be written. Raises UserError: it cannot be, or a corpus is there already."""
    return Destination.open(place if is_url(place) else str(Path(place).absolute()), overwrite, FACTS)


def move_to_shards(folder: Path, destination: Destination, converted: str) -> Corpus:
    """Write the audio of the corpus in `folder` into shards, and let the folder speak of them.

    The corpus's tables are put beside the shards, so that the destination is a corpus as well where it is a
    folder. What `prepare` converted (the folder `converted` in `folder`) is removed.
    Raises UserError where something cannot be written, or a file changed meanwhile.
    """
    corpus = Corpus.load(folder)
    with tempfile.TemporaryDirectory(dir=folder) as workplace:
        write_members(folder, write_shards(corpus, destination, Path(workplace)))
    members, members_hash = read_members(folder, PREPARE_AGAIN)
    if contents_hash(members.contents()) != corpus.facts["files_hash"]:
        raise UserError(
            f"recordings changed while they were written to {destination.place}; {PREPARE_AGAIN}."
        )
    facts = {**corpus.facts, "members_sha256": members_hash}
    write_facts(folder, {**facts, SHARDS: "."})
    for name in (MANIFEST, MEMBERS, FACTS):
        destination.put(folder / name, name)
    write_facts(folder, {**facts, SHARDS: destination.place})
    for name in (FILES, Path(FILES).with_suffix(INDEX).name):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / converted, ignore_errors=True)
    return Corpus.load(folder)
