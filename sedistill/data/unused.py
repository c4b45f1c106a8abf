"""What lies in the folders that `prepare` was given and is not used: every file, with the reason."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sedistill.audio.listing import Unread, audio_below
from sedistill.data.layouts import Listing

NOT_USED = "not used"


def unused_files(given: Iterable[Path], listing: Listing) -> Iterator[Unread]:
    """Files below the folders `given` that are neither sources of `listing` nor left out in it already."""
    sources = {str(listing.roots[source.root] / source.path) for source in listing.sources}
    told = sources | {str(one.path.absolute()) for one in listing.left_out}
    seen: set[Path] = set()  # the folders given may lie in one another
    for folder in given:
        found = audio_below(folder.absolute())
        for one in found.unread:
            if one.path not in seen:
                seen.add(one.path)
                yield one
        for file in found.files:
            path = found.folder / file
            if str(path) not in told and path not in seen:
                seen.add(path)
                yield Unread(path, NOT_USED, f"the layout {listing.layout} does not use it")
