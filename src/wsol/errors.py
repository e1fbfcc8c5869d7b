"""Errors that a person can act on. The command line prints their message without a traceback."""


class WsolError(Exception):
    """Base of the errors raised on purpose: the message says what was wrong, where, and what to do."""


class ModelError(WsolError):
    """A model, checkpoint or class list that cannot be used."""


class ImageError(WsolError):
    """An image that cannot be read; a run over many skips and lists it."""
