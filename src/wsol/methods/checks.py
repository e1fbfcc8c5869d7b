"""Checks that the options of several methods share."""


def check_shares(options: object, *names: str) -> None:
    """Make sure that fields are in [0, 1].

    Raises:
        ValueError: one is not; the message names it.
    """
    for name in names:
        if not 0 <= getattr(options, name) <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {getattr(options, name)}")
