"""Where audio is read from, and that it cannot be."""

import io
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.reading import shown

Place = Path | str | io.RawIOBase
"""Where audio is read from; an open file says its name by `str`."""


class AudioFileError(UserError):
    """An audio file that cannot be used; the message is `path reason.`"""

    def __init__(self, path: Place, reason: str) -> None:
        super().__init__(f"{shown(str(path))} {reason}.")
        self.path, self.reason = str(path), reason

    def __reduce__(self) -> tuple[type["AudioFileError"], tuple[str, str]]:
        # Errors cross process borders in data workers; the default would call __init__ with the message.
        return AudioFileError, (self.path, self.reason)
