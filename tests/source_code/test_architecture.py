"""The layers of the code: which package may import which, how long a file may be, and names that say what is inside."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "regulars"
MODULES = sorted(SOURCE.rglob("*.py"))

# Each package may import those before it, and itself.
LAYERS = (
    *(
        "clock",
        "settings",
        "core",
        "file_dialects",
        "storage",
        "auth",
        "model",
        "rollups",
        "facts",
        "aggregations",
        "reports",
    ),
    *("query", "charts", "geo", "segments", "offline", "verify", "ingest", "loading", "exports"),
    *("webhooks", "jobs", "web", "observability", "api", "dashboard"),
    *("demo", "bootstrap", "asgi", "cli", "docsgen"),
)
MAX_LINES = 420
VAGUE = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager", "managers", "stuff"}


def package(module: Path) -> str:
    """The top-level package, or module, that a file belongs to."""
    first = module.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


@cache
def parsed(module: Path) -> ast.Module:
    """What a module says."""
    return ast.parse(module.read_text())


@cache
def imported_packages(module: Path) -> frozenset[str]:
    """The packages that a module imports from."""
    return frozenset(_imported_packages(module))


def _imported_packages(module: Path) -> Iterator[str]:
    for node in ast.walk(parsed(module)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "regulars"
            names = [f"regulars.{each.name}" for each in node.names] if whole else [node.module]
        for name in names:
            parts = name.split(".")
            if parts[0] == "regulars" and len(parts) > 1:
                yield parts[1]


def test_modules_import_only_from_their_own_package_and_those_below() -> None:
    imported_from_above = {
        str(module.relative_to(SOURCE)): above
        for module in MODULES
        if package(module) not in ("__init__", "__main__")
        and (above := imported_packages(module) - {"__init__", *LAYERS[: LAYERS.index(package(module)) + 1]})
    }
    assert imported_from_above == {}


def test_no_module_imports_itself_in_a_circle() -> None:
    # Imports for type checking count: a cycle of types is a cycle of concepts.
    graph = {_name(module): set(_imports(module)) for module in MODULES}
    for name in graph:
        assert not _reaches(graph, name, name), f"{name} imports itself by way of others"


def test_the_live_commit_does_not_import_the_offline_engine() -> None:
    graph = {_name(module): set(_imports(module)) for module in MODULES}
    offline = [name for name in graph if name.startswith(("regulars.offline", "regulars.verify", "regulars.loading"))]
    assert [name for name in offline if _reaches(graph, "regulars.ingest.group_commit", name)] == []


def _name(module: Path) -> str:
    parts = module.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {_name(each) for each in MODULES}


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(parsed(module)):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for each in node.names:
            deeper = f"{node.module}.{each.name}"
            yield deeper if deeper in NAMES else node.module


def _reaches(graph: dict[str, set[str]], start: str, target: str) -> bool:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name == target:
            return True
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return False


def test_files_are_short_and_named_for_what_they_hold() -> None:
    lengths = {str(module.relative_to(SOURCE)): len(module.read_text().splitlines()) for module in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}
    assert [str(module) for module in MODULES if module.stem in VAGUE] == []


def test_public_class_names_are_unique() -> None:
    modules: dict[str, list[str]] = {}
    for module in MODULES:
        for node in parsed(module).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules.setdefault(node.name, []).append(_name(module))
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}
