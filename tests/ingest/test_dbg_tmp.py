import sys; sys.path.insert(0,'/work/main/tests/ingest')
from test_bulk import *  # noqa
async def test_dbg(load: Loading) -> None:
    rows = [
        f'{{"external_id": "T{number}", "transacted_at": "2026-10-01", "total": 1, "meta": "{text}"}}\n'
        for number, text in enumerate(["a", "b", "\\u0000", "d", "e"], 1)
    ]
    summary = await load("transactions", "".join(rows), name="sales.ndjson")
    print(reasons(summary))
    assert 0
