"""The one exception that is a message to the user, and how a sentence about an unknown name ends."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend: one clear sentence that names the file or the setting and what to do.

    The command line prints it without a traceback and exits with code 2.

    `may_pass`: the same command may go well later with nothing mended here, as when a server is back.
    """

    may_pass = False


def nearest(wanted: object, known: Iterable[str], lists: str = "") -> str:
    """ "; did you mean ...?" where a known name resembles the wanted one, else "; known are ...".

    lists: the command that lists them, where they are too many for a sentence.
    """
    names = [str(name) for name in known]
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(wanted).lower(), by_lower, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {by_lower[close[0]]}?"
    return f"; `{lists}` lists what there is." if lists else f"; known are {', '.join(names)}."
