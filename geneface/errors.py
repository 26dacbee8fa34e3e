"""The one exception a user can cause."""


class UserError(Exception):
    """Bad input or usage. The message is one line: what is wrong, where, the mend.

    The command line prints it without a traceback and exits with status 2.
    """


def one_line(text: object, limit: int = 120) -> str:
    """What a stranger's file or another library says, short enough to stand in one line."""
    try:
        words = " ".join(str(text).split())
    except ValueError:  # a library's own exception of bytes that are no text
        words = type(text).__name__
    return words if len(words) <= limit else words[:limit - 3] + "..."
