"""Why the program cannot go on. What is wrong with a user's files is a `Diagnostic` instead."""


class SloctlError(Exception):
    """Base of every error that the command line turns into an exit code and one sentence."""


class OutsideError(SloctlError):
    """A disk, a server or a program outside sloctl did not do its part (exit code 3)."""


class PromqlError(SloctlError):
    """A PromQL expression or selector that sloctl refuses.

    Attributes:
        help: what to write instead, or an empty string.
    """

    def __init__(self, message: str, help: str = "") -> None:  # noqa: A002 - the word users see
        super().__init__(message)
        self.help = help
