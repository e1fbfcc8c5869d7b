"""Errors that a person can act on. The command line prints their message without a traceback."""

from pathlib import Path


class WsolError(Exception):
    """Base of the errors raised on purpose: the message says what was wrong, where, and what to do."""


class UsageError(WsolError):
    """Options that do not go together, or are out of their range."""


class ModelError(WsolError):
    """A model, checkpoint or class list that cannot be used."""


class DataError(WsolError):
    """A data set, table, map or result that cannot be used."""


class ImageError(WsolError):
    """An image that cannot be used; a run over many skips and lists it.

    Attributes:
        path: the file, or what the image is called.
        reason: why, in a few words.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        return type(self), (self.path, self.reason)  # data-loading workers send it to the main process


class SharedError(WsolError):
    """An error of one of several processes, raised in all of them."""
