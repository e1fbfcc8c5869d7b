"""Checks that the options of several methods share."""

from wsol import erasing


def check_shares(options: object, *names: str) -> None:
    """Make sure that fields are in [0, 1].

    Raises:
        ValueError: one is not; the message names it.
    """
    erasing.check_shares(**{name: getattr(options, name) for name in names})
