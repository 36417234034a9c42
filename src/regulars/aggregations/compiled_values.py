"""The statement of all values in PostgreSQL, compiled in advance, so that processes start without the compiler.

The stored statement begins with a digest of all that it was compiled from. If that has changed, the statement is
compiled again: an outdated file costs time, and is never used.
"""

import hashlib
import inspect
from functools import lru_cache
from importlib.resources import files

from regulars.aggregations.aggregation import AggregationRegistry
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import POSTGRESQL, Macro, SqlEngine

FILE = files("regulars.aggregations") / "values.postgresql.sql"


@lru_cache(maxsize=1)
def values_statement() -> str:
    """The values of profiles $2, each at its instant in $3, in community $1; see compiler.compile_statement."""
    return _without_compiling(FILE.read_text()) or _compile()


def stored_text() -> str:
    """The content that the file must have: the digest and the statement."""
    return f"{_header()}\n{_compile()}"


def _without_compiling(text: str) -> str:
    """The statement of a file; empty if it was compiled from something else."""
    header, _, statement = text.partition("\n")
    return statement if header == _header() else ""


def _compile() -> str:
    # Imports the parser of SQL, which takes as long as compiling.
    from regulars.aggregations.compiler import compile_statement

    return compile_statement(REGISTRY, POSTGRESQL)


def _header() -> str:
    return (
        f"-- Compiled from declarations with the digest {_source_digest(REGISTRY, POSTGRESQL)}; see compiled_values.py"
    )


def _source_digest(registry: AggregationRegistry, engine: SqlEngine) -> str:
    """Digest of the declarations, of what the engine adds to them, and of the compiler."""
    macros = {name: _template(macro) for name, macro in sorted(engine.macros.items())}
    outputs = {type_.name: _template(macro) for type_, macro in engine.output_expressions.items()}
    compiler = (files("regulars.aggregations") / "compiler.py").read_text()
    source = registry, engine.input_ctes, engine.shared_input_ctes, dict(engine.column_types), macros, outputs, compiler
    return hashlib.sha256(repr(source).encode()).hexdigest()[:16]


def _template(macro: Macro) -> str:
    """The SQL of a macro, with the names of its parameters as arguments."""
    return macro(*inspect.signature(macro).parameters)
