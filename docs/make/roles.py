"""An extension of griffe: roles as docstrings write them, ``:class:`wsol.X```, become links."""

import re

from griffe import Extension, Object

ROLE = re.compile(r":(?:class|func|meth|mod|data):`~?([\w.]+)`")


class Roles(Extension):
    """Rewrite the roles in every docstring."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Rewrite those of one object."""
        if obj.docstring is None:
            return
        around = obj.path if obj.is_module or obj.is_class else obj.path.rpartition(".")[0]

        def link(role: re.Match[str]) -> str:
            name = role[1]
            target = name if name.startswith("wsol.") else f"{around}.{name}"
            if "." in name and not name.startswith("wsol."):  # Class.method of the same module
                target = f"{obj.module.path}.{name}"
            return f'<autoref identifier="{target}" optional><code>{name}</code></autoref>'

        obj.docstring.value = ROLE.sub(link, obj.docstring.value)
