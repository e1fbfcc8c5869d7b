"""The commands: each module has the parser of one and runs it; logic lives elsewhere."""

from jsonargparse import Namespace

from wsol.options import add_options, options_of

__all__ = [
    "EXIT_CODES",
    "EXIT_INTERRUPTED",
    "EXIT_SKIPPED",
    "EXIT_USAGE",
    "add_options",
    "backbone_of",
    "one_line",
    "options_of",
]

EXIT_USAGE = 2
EXIT_SKIPPED = 3
EXIT_INTERRUPTED = 130
EXIT_CODES = (
    "Exit code: 0 all well, 1 an error, 2 wrong usage, 3 finished but images were skipped, "
    "130 interrupted (what was done is kept)."
)


def backbone_of(options: Namespace) -> str:
    """The model of a command that takes it by place too.

    Raises:
        UsageError: both are given.
    """
    from wsol.errors import UsageError
    from wsol.models import ModelOptions

    if options.model is None:
        return str(options.backbone)
    if options.backbone != ModelOptions().backbone:
        raise UsageError(f"give one model: {options.model}, or --backbone {options.backbone}")
    return str(options.model)


def one_line(text: object) -> str:
    """As a terminal may show it: a file name can hold line breaks, and characters that steer a terminal."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(text))
