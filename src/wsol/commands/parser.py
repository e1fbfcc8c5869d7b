"""A parser that tells in one line what is wrong with an option."""

import re
import sys
from argparse import Action
from os import PathLike
from typing import Any, NoReturn

import jsonargparse

from wsol.typed import WORDS


class _HelpFormatter(jsonargparse.DefaultHelpFormatter):
    """jsonargparse's, without defaults that are none: the words before say what happens then."""

    def _expand_help(self, action: Action) -> str:
        words: str = super()._expand_help(action)
        return re.sub(r" \(default: null\)$|( \| null)?, default: null(?=\)$)", "", words)


class ArgumentParser(jsonargparse.ArgumentParser):
    """jsonargparse's, without its usage text and types where an error is told."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, formatter_class=_HelpFormatter, **options)

    def parse_path(self, cfg_path: str | PathLike[str], *args: Any, **options: Any) -> jsonargparse.Namespace:  # noqa: ANN401
        """The options in a file, which was read before with more care: deep nesting ends jsonargparse."""
        from wsol.errors import UsageError
        from wsol.training.recipes import read_yaml

        try:
            read_yaml(str(cfg_path))
        except UsageError as error:
            raise TypeError(str(error)) from error  # what jsonargparse tells as wrong usage
        read: jsonargparse.Namespace = super().parse_path(cfg_path, *args, **options)
        return read

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Tell it and exit; or raise, as asked for by ``exit_on_error``."""
        if not self.exit_on_error:
            super().error(message, ex)
        parser = getattr(ex, "subcommand_parser", None) or self
        command = parser.prog.replace(" [options]", "")
        if missing := re.match(r"the following arguments are required: ((?:\w+\.)+)", message):
            command = " ".join([command, *missing[1].split(".")[:-1]])
            message = message.replace(missing[1], "")
        what = "commands" if parser is self and command == "wsol" else "options"
        sys.stderr.write(f"error: {plainly(message)}\ntip: {command} --help tells all {what}\n")
        self.exit(2)


def plainly(message: str) -> str:
    """A message of jsonargparse about a value of the wrong type, in one line; any other as it is."""
    key = re.match(r'Parser key "(.+?)":', message)
    value = re.search(r"(?:Got|Given) value: (.*)", message)
    expected = [_named(kind) for kind in re.findall(r"Expected (?:an? )?(.+?)(?:\. Got value|\n|$)", message)]
    expected = [words for words in dict.fromkeys(expected) if words]
    if not (key and value and expected):
        return message
    return f'"{key[1]}" must be {" or ".join(expected)}, got {value[1]}'


def _named(kind: str) -> str:
    """Of a type as Python writes it; "" for None, which is the default and not to be given."""
    choices = re.match(r"typing\.Literal\[(.+)\]$", kind)
    if choices:
        return "one of " + choices[1].replace("'", "")
    name = re.sub(r"<class '(.+)'>", r"\1", kind)
    return "" if name == "NoneType" else WORDS.get(name, name)
