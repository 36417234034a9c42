"""From declarations to one statement: the values of many profiles, each at its own instant."""

from collections.abc import Iterable, Sequence

import sqlglot
from sqlglot import exp

from regulars.aggregations.aggregation import Aggregation, Registry
from regulars.aggregations.engines import Engine


def translated(sql: str, engine: Engine) -> str:
    """A declared piece of SQL in an engine's dialect, its declared functions spelled out."""
    tree = sqlglot.parse_one(sql, dialect="postgres")

    def spelled(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Anonymous) and (macro := engine.macros.get(node.name.lower())):
            arguments = [spell(each) for each in node.expressions]
            text = macro(*arguments)
            return exp.Paren(this=sqlglot.parse_one(text, dialect=engine.dialect))
        return node

    def spell(node: exp.Expression) -> str:
        return node.transform(spelled).sql(dialect=engine.dialect)

    return tree.transform(spelled).sql(dialect=engine.dialect, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE)


def _columns_used(sql: str) -> set[str]:
    return {column.name for column in sqlglot.parse_one(sql, dialect="postgres").find_all(exp.Column)}


def layers(aggregations: Iterable[Aggregation]) -> list[list[Aggregation]]:
    """Expressions over other values in the order in which they can be computed.

    Raises ValueError for two that need each other.
    """
    waiting = [each for each in aggregations if each.over is None and each.sql]
    names = {each.name for each in waiting}
    ordered: list[list[Aggregation]] = []
    while waiting:
        ready = [each for each in waiting if not (_columns_used(each.sql) & names) - {each.name}]
        if not ready:
            raise ValueError(f"these values need each other: {sorted(names)}")
        ordered.append(ready)
        names -= {each.name for each in ready}
        waiting = [each for each in waiting if each not in ready]
    return ordered


def _indented(sql: str, by: int = 4) -> str:
    return "\n".join(" " * by + line if line else line for line in sql.splitlines())


def _grouped(registry: Registry, engine: Engine) -> list[tuple[str, str]]:
    """One CTE for each relation that values are taken from, grouped by profile: (name, sql)."""
    over: dict[str, list[str]] = {}
    for each in registry.declared:
        if each.over is not None:
            over.setdefault(each.over.name, []).append(f"{translated(each.sql, engine)} AS {each.name}")
    return [
        (
            f"by_{relation}",
            "SELECT k,\n" + ",\n".join(_indented(column, 7) for column in columns) + f"\nFROM {relation}\nGROUP BY k",
        )
        for relation, columns in over.items()
    ]


def _measured(registry: Registry, engine: Engine, grouped: Sequence[str]) -> str:
    columns = []
    for each in registry.declared:
        if each.over is None:
            continue
        column = f"by_{each.over.name}.{each.name}"
        empty = getattr(each, "when_empty", "")
        columns.append(f"coalesce({column}, {translated(empty, engine)}) AS {each.name}" if empty else column)
    joins = "\n".join(f"LEFT JOIN {name} ON {name}.k = member.k" for name in grouped)
    selected = ",\n".join(["SELECT member.*", *(_indented(each, 7) for each in columns)])
    return f"{selected}\nFROM member\n{joins}"


def shared_inputs(engine: Engine) -> list[tuple[str, str]]:
    """The inputs that engines over files have in common, each as a CTE: (name, sql)."""
    if not engine.shared_inputs:
        return []
    tree = sqlglot.parse_one(engine.shared_inputs, dialect="postgres")
    return [
        (each.alias, translated(each.this.sql(dialect="postgres"), engine)) for each in tree.args["with_"].expressions
    ]


def relations(registry: Registry, engine: Engine) -> list[tuple[str, str]]:
    """Everything up to the values, each a relation over those before it: (name, sql). The last has a row for each
    profile with every measure and value by name.
    """
    found = [*shared_inputs(engine), *((each.name, translated(each.sql, engine)) for each in registry.relations)]
    grouped = _grouped(registry, engine)
    found += grouped
    last = "measured"
    found.append((last, _measured(registry, engine, [name for name, _ in grouped])))
    for number, layer in enumerate(layers(registry.aggregations), 1):
        columns = ",\n".join(_indented(f"{translated(each.sql, engine)} AS {each.name}", 7) for each in layer)
        found.append((f"layer_{number}", f"SELECT {last}.*,\n{columns}\nFROM {last}"))
        last = f"layer_{number}"
    return found


def steps(registry: Registry, engine: Engine) -> tuple[str, str]:
    """The same as common table expressions, and the name of the last."""
    found = relations(registry, engine)
    body = ",\n".join(f"{name} AS (\n{_indented(sql)}\n)" for name, sql in found)
    return f"{engine.inputs.strip()},\n{body}" if engine.inputs else body, found[-1][0]


def _value(of: Aggregation, engine: Engine) -> str:
    if finish := engine.finished.get(of.type):
        return finish(of.name)
    column = engine.types.get(of.type.column)
    if column is None:
        column = exp.DataType.build(of.type.column, dialect="postgres").sql(dialect=engine.dialect)
    return f"CAST({of.name} AS {column})"


def selected(registry: Registry, engine: Engine, last: str) -> str:
    """From the last relation: `k`, `profile_id`, `calculated_at`, `next_change_at` where the registry knows of changes,
    `values_epoch` and every stored value by name.
    """
    changes = ",\n".join(
        _indented(each.name if each.over is not None else translated(each.sql, engine), 11) for each in registry.changes
    )
    columns = [
        "SELECT k, profile_id, as_of AS calculated_at",
        *([f"       least(\n{changes}\n       ) AS next_change_at"] if changes else []),
        "       values_epoch",
        *(f"       {_value(each, engine)} AS {each.name}" for each in registry.stored),
    ]
    return ",\n".join(columns) + f"\nFROM {last}"


def compiled(registry: Registry, engine: Engine) -> str:
    """The one statement that gives, for each profile and instant asked for, what `selected` says."""
    body, last = steps(registry, engine)
    return f"WITH {body}\n{selected(registry, engine, last)}"
