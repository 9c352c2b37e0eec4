"""The errors a person is meant to read: one sentence that says what, where, and what to do."""


class AffineError(Exception):
    """Bad input or an impossible request; the CLI prints the message and exits with `exit_code`."""

    exit_code = 2


class ConfigError(AffineError):
    """One or more mistakes in a configuration file; the message lists them all."""


class DataError(AffineError):
    """A data file that is missing, empty, broken or of another shape; names the line."""


class StageError(AffineError):
    """A stage cannot start: an earlier one is missing, unfinished, or made with another config."""
