"""The application's errors. The class name is what the state machine's `ErrorEquals` and an operator see.

Adapters (`treering.aws`, `treering.kaggle`) translate what a library raised into one of these, by status
and error code, never by the text inside a message.
"""


class TreeringError(Exception):
    """Base of all errors of the application. The message says what happened, to what, and what to do next."""


class TransientError(TreeringError):
    """Trying again later, unchanged, may succeed: a busy service, a broken connection."""


class ConfigurationError(TreeringError):
    """An environment variable, a parameter or a use case is missing or wrong. Trying again will not help."""


class InvalidEventError(TreeringError):
    """A function was invoked with an event that is not of the form it reads."""


class CredentialsError(TreeringError):
    """The data source refused the credentials, or there are none."""


class DataSourceError(TreeringError):
    """The data source does not have, or does not give, what was asked for."""


class DownloadError(DataSourceError):
    """What arrived is not what the source announced: truncated, corrupted, too large, not a zip."""


class InvalidDataError(TreeringError):
    """The data do not fit the use case. The message lists every problem found, one a line."""


class InvalidRequestError(TreeringError):
    """A request to the endpoint cannot be answered: what is wrong, and where (row, column)."""


class UnsupportedMediaTypeError(TreeringError):
    """The endpoint does not read or write this content type."""


class EndpointError(TreeringError):
    """The endpoint did not become, or is not, what was asked for."""
