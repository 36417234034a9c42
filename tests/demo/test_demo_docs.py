"""docs/demo.md is true: what it says of mailings is what they are."""

import re
from pathlib import Path

from regulars.demo.mall import mailings
from regulars.demo.mall.mailings import MailingType

PAGE = Path(__file__).parent.parent.parent / "docs" / "demo.md"
KINDS = [each for each in vars(mailings).values() if isinstance(each, MailingType)]
ROW = re.compile(r"^\| ([a-z-]+) \| (email|sms|push) \| (.*?) \| (.*?) ?\| (.*?) \|$", re.MULTILINE)


def percent(share: float) -> str:
    """A share as the page prints it."""
    return f"{round(share * 100, 1):g} %"


def test_the_page_lists_the_rates_of_every_mailing() -> None:
    documented = {
        (name, channel): (opened, followed) for name, channel, _, opened, followed in ROW.findall(PAGE.read_text())
    }
    assert documented == {
        (kind.name, kind.channel): (percent(kind.open_rate), f"{percent(kind.click_rate)} of opened")
        if kind.open_rate
        else ("", percent(kind.click_rate))
        for kind in KINDS
    }


def test_the_page_lists_the_hour_of_every_mailing() -> None:
    when = {(name, channel): when for name, channel, when, _, _ in ROW.findall(PAGE.read_text())}
    for kind in KINDS:
        assert kind.hour is None or when[kind.name, kind.channel].endswith(f", {kind.hour:%H:%M}")
