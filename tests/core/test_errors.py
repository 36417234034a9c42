"""Messages that quote what was found have a form without it, which may be stored."""

import msgspec
import pytest

from regulars.core.errors import QuotingText, encode_message, from_msgspec, unquoted


def test_the_text_of_an_exception_has_the_form_without_the_quotation() -> None:
    error = ValueError(QuotingText("must be a number, not 'x'", "must be a number"))
    assert str(error) == "must be a number, not 'x'"
    assert unquoted(str(error)) == "must be a number"
    assert unquoted("must be a number") == "must be a number"


def test_a_message_with_a_quotation_is_encoded_as_a_text() -> None:
    message = QuotingText("must be a number, not 'x'", "must be a number")
    assert msgspec.json.encode([message], enc_hook=encode_message) == b"[\"must be a number, not 'x'\"]"
    with pytest.raises(NotImplementedError, match="can't encode object"):
        msgspec.json.encode(object(), enc_hook=encode_message)


def test_a_value_that_msgspec_quotes_is_a_quotation() -> None:
    error = from_msgspec(msgspec.ValidationError("Invalid enum value 'Kari' - at `$.type`"))
    assert error.errors == {"type": "invalid enum value 'Kari'"}
    assert unquoted(error.errors["type"]) == "invalid enum value"
