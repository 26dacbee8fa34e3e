"""The one exception a user can cause."""


class UserError(Exception):
    """Bad input or usage. The message is one line: what is wrong, where, the mend.

    The command line prints it without a traceback and exits with status 2.
    """
