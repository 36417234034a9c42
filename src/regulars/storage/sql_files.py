"""SQL statements in files: read from a package, with the parts that they include."""

import re
from importlib.resources import files

_INCLUDE = re.compile(r"^( *)-- include: ([\w/]+)$", re.MULTILINE)
_LAST_COMMA = re.compile(r"\),\n(?=(?:SELECT|INSERT|UPDATE|DELETE)\b)")


def load(package: str, name: str, **parts: str) -> str:
    """The statement in the file sql/`name`.sql of a package.

    A line `-- include: part` is replaced by the text of that name in `parts`, or by the file of that name, each line
    indented like the line that includes it. Every CTE may end with a comma; that of the last one is removed.
    """
    return _LAST_COMMA.sub(")\n", _text(package, name, parts))


def _text(package: str, name: str, parts: dict[str, str]) -> str:
    def replace(line: re.Match[str]) -> str:
        indent, part = line.groups()
        text = parts[part] if part in parts else _text(package, part, parts)
        return "\n".join(indent + each if each else each for each in text.strip("\n").split("\n"))

    return _INCLUDE.sub(replace, (files(package) / "sql" / f"{name}.sql").read_text())
