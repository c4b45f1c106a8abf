"""The faults of corpora and sets: every file is read and held against the hash it had."""

import hashlib
from pathlib import Path

import numpy as np

from sedistill.audio.files import read_blocks
from sedistill.common.errors import UserError
from sedistill.common.parallel import parallel_map
from sedistill.common.reading import is_taken
from sedistill.common.yaml_files import read_yaml
from sedistill.data.content_table import read_contents
from sedistill.data.contents import FILES, differences, look
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.set_files import FACTS as SET_FACTS
from sedistill.data.shards.member_files import faults_of_shards
from sedistill.data.shards.shard_settings import ShardSettings


def check_corpus(folder: Path) -> list[str]:
    """Every file that is gone or changed. Those of a corpus from before hashes are decoded for theirs."""
    corpus = Corpus.load(folder, ShardSettings(patience_seconds=0))
    if corpus.shards is not None:
        return faults_of_shards(corpus.shards)
    known = read_contents(folder / FILES, corpus.facts.get("files_hash"))
    if known is not None:
        files = corpus.files()
        return differences(known, look(files), files)
    corpus.contents()  # raises where the list of files alone is damaged, or writes it
    clips = {f"{clip.root}/{clip.path}": (str(corpus.path(i)), clip.audio_sha256)
             for i, clip in enumerate(corpus) if not clip.source}  # fmt: skip
    hashes = parallel_map(_audio_hash, [path for path, _ in clips.values()], None, "Decoding", "files")
    return [
        f"{name} (holds other audio than was prepared)"
        for (name, (_, written)), found in zip(clips.items(), hashes, strict=True)
        if found != written
    ]


def check_set(folder: Path) -> list[str]:
    """Every file that is gone, changed or new; what else is wrong with the set, else."""
    facts = read_yaml(folder / SET_FACTS) if is_taken(folder / SET_FACTS) else {}
    known = read_contents(folder / FILES, facts.get("files_hash")) if facts else None
    if known is not None:
        files = {name: folder / name for name in known.names}
        if faults := differences(known, look(files), files):
            return faults
    pairs = FixedSet(folder)
    if known is None and facts and pairs.hash_of_audio() != facts.get("hash"):
        return ["its audio is not what was written (set.yaml has its hash, which files is not known)"]
    return [fault for index in range(len(pairs)) if (fault := _fault_of_pair(pairs, index))]


def _fault_of_pair(pairs: FixedSet, index: int) -> str:
    try:
        _ = pairs[index]
    except UserError as error:
        return str(error)
    return ""


def _audio_hash(path: str) -> str:
    """As `sedistill prepare` takes it; a few words where the file cannot be read."""
    digest = hashlib.sha256()
    try:
        for block in read_blocks(path):
            digest.update(np.ascontiguousarray(block).data)
    except UserError as error:
        return str(error)
    return digest.hexdigest()
