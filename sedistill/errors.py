"""The one exception that is a message to the user."""


class UserError(Exception):
    """A mistake the user can mend: one clear sentence that names the file or the setting and what to do.

    The command line prints it without a traceback and exits with code 2.
    """
