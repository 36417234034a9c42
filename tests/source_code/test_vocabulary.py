"""The project's own words: plain technical English, without the home-made vocabulary of its first versions."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Each pattern, and what to write instead.
REPLACED = {
    r"told|tells?|telling": "record, report, notify, say",
    r"whoever|whatever|whichever": "name the subject",
    r"anew|likewise|of late|by then|lately": "again, also, recently, until then",
    r"at once": "together, in one statement, immediately",
    r"came of (?:it|them)|became of|becomes of": "result, outcome, status",
    r"asked|asks|asking": "query, request",
    r"kept": "stored, retained",
    r"held (?:against|to)": "compared with",
    r"alike": "the same; dimensions_hash",
    r"folds?|folded|folding|unfolded": "compact, compaction, uncompacted; normalize",
    r"rehears\w*": "dry run",
    r"epochs?": "version",
    r"forgets?|forgotten|forgetting": "erase",
    r"lanes?": "shard",
    r"rooms?|doors?": "package, entry point, space",
    r"happenings?": "events",
    r"known of (?:one|all|single)": "name the values",
    r"who is a member": "membership, member dimensions",
    r"swept|sweeps?": "refresh of due profiles",
    r"there is no such": "not found",
    r"somebody|nobody": "a profile, no profile",
    r"smallest_cell|values_epoch|locations_epoch|fold_marks|purchase_marks": "the renamed tables",
}
# Words that are right where they stand: other meanings, quotations, names of other systems.
ALLOWED = re.compile(
    r"Unix epoch|since the epoch|epoch FROM|extract\(epoch|epoch_(?:ms|us)|fold=fold|for fold in|fold=[01]|"
    r"overflow=.fold.|case folded|casefold|folder|\.tell\(\)|def tell\(self\)|UNIX_EPOCH",
    re.IGNORECASE,
)
# Words within names count as well: an underscore is no letter.
_WORDS = re.compile(rf"(?<![a-z])(?:{'|'.join(REPLACED)})(?![a-z])", re.IGNORECASE)

RENAMED_COLUMNS = {
    r"grain": "granularity of time; dimension, dimension_set",
    r"member_chunk|member_bit": "bitmap_chunk, bitmap_bit",
}
_COLUMNS = re.compile(rf"(?<![a-z])(?:{'|'.join(RENAMED_COLUMNS)})(?![a-z])")

HOME_MADE_NAMES = {"found", "given", "whole", "theirs", "beside", "there"}
"""Words that are right in sentences, but say nothing as the name of a variable: rows, result, input, total, ..."""

_NAMES_CHECKED_IN = ("bench/", "tests/aggregations/", "tests/demo/", "tests/engines/", "tests/loading/")


def _files(*folders: str, endings: tuple[str, ...] = (".py", ".sql", ".md")) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    # Golden files follow from src, and this file has the words themselves.
    return [
        ROOT / each
        for each in listed.stdout.splitlines()
        if each.endswith(endings) and "/golden/" not in each and each != "tests/source_code/test_vocabulary.py"
    ]


def test_files_use_the_words_of_the_field() -> None:
    violations = [
        f"{path.relative_to(ROOT)}, line {number}: {match[0]!r} in {line.strip()[:100]!r}"
        for path in _files("src", "docs", "README.md", "tests", "bench")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for pattern in (_WORDS, _COLUMNS)
        for match in pattern.finditer(ALLOWED.sub("", line))
    ]
    assert violations == []


def test_variables_are_named_for_what_they_have() -> None:
    violations = []
    for path in _files(*_NAMES_CHECKED_IN, endings=(".py",)):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg) and node.arg in HOME_MADE_NAMES:
                violations.append(f"{path.relative_to(ROOT)}, line {node.lineno}: {node.arg}")
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in HOME_MADE_NAMES:
                violations.append(f"{path.relative_to(ROOT)}, line {node.lineno}: {node.id}")
    assert violations == []
