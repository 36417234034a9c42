"""docs/architecture.md names the modules that one purchase passes, in order."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType

from clubs import Club

PAGE = Path(__file__).parent.parent.parent / "docs" / "architecture.md"
_ONE_PURCHASE = re.compile(r"\n## One purchase\n(.*?)```mermaid", re.DOTALL)


def documented_modules() -> list[str]:
    """The modules of the table, such as `web/edge.py`, in order."""
    (section,) = _ONE_PURCHASE.findall(PAGE.read_text())
    return re.findall(r"^\| `(\S+\.py)` \|", section, re.MULTILINE)


async def test_one_purchase_passes_the_documented_modules_in_order(club: Club) -> None:
    profile = (await club.http.post("/api/v3/profiles", json={"first_name": "Kari"})).json()["data"]
    purchase = {
        "external_id": "T1",
        "profile_id": profile["id"],
        "transacted_at": "2026-10-01 10:00:00",
        "timezone": "Europe/Oslo",
        "total": 10,
        "items": [{"name": "Boots", "quantity": 1, "price_current": 10, "price_sell": 10}],
    }
    passed: dict[str, None] = {}

    def trace(frame: FrameType, event: str, argument: object) -> None:
        module = frame.f_globals.get("__name__", "")
        # A constructor only carries values to a later step.
        if event == "call" and module.startswith("regulars.") and frame.f_code.co_name != "__init__":
            passed.setdefault(module.removeprefix("regulars.").replace(".", "/") + ".py")

    sys.setprofile(trace)
    try:
        answer = await club.http.post("/api/v3/transactions", json=purchase, headers={"Idempotency-Key": "till-1"})
    finally:
        sys.setprofile(None)
    assert answer.status_code == 201, answer.text
    documented = documented_modules()
    assert len(set(documented)) == len(documented)
    assert [each for each in passed if each in documented] == documented
