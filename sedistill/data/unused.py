"""What lies in the folders that `prepare` was given and is not used: every file, with the reason."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sedistill.audio.listing import Unread, each_below
from sedistill.data.layouts import Listing

NOT_USED = "not used"


def unused_files(given: Iterable[Path], listing: Listing) -> Iterator[Unread]:
    """Files below the folders `given` that are neither sources of `listing` nor left out in it already."""
    known = {str(listing.roots[source.root] / source.path) for source in listing.sources}
    known.update(str(one.path.absolute()) for one in listing.left_out)
    why = f"the layout {listing.layout} does not use it"
    seen: set[Path] = set()  # the folders given may lie in one another
    for folder in given:
        place = folder.absolute()
        for one in each_below(place):
            unread = one if isinstance(one, Unread) else Unread(place / one, NOT_USED, why)
            if unread.path not in seen and (one is unread or str(unread.path) not in known):
                seen.add(unread.path)
                yield unread
