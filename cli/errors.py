"""What ends a command early, with the exit code that a script sees."""

FAILURE = 1
USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it


class CommandError(Exception):
    """The command could not do what was asked. The message says what happened, to what, and what to do next."""

    exit_code = FAILURE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class CloudGoneError(CommandError):
    """The local cloud was there, and does not answer any more."""


class UsageError(CommandError):
    """An option or an argument is wrong."""

    exit_code = USAGE


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. Like KeyboardInterrupt it passes every `except Exception` on its way out."""
