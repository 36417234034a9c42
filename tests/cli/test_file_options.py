"""The options of files, of the command line and of a mapping file."""

from pathlib import Path

import pytest

from regulars.cli.file_options import InputFileOptions
from regulars.cli.options import UsageError


def test_options_of_the_command_line_override_those_of_the_mapping_file(tmp_path: Path) -> None:
    path = tmp_path / "till.toml"
    path.write_text('decimal = ","\nencoding = "cp1252"\n[columns]\ntotal = "Amount"\nprofile = "Customer"\n')
    options = InputFileOptions(decimal=".", column=("total=Sum",), mapping=path).parse()
    assert (options.decimal, options.encoding) == (".", "cp1252")
    assert options.columns == {"total": "Sum", "profile": "Customer"}
    assert InputFileOptions(delimiter="tab").parse().delimiter == "\t"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (InputFileOptions(decimal="x"), r"--decimal must be , or . \(comma or point\), not 'x'."),
        (InputFileOptions(date_format="%Q"), "--date-format must consist of .*; '%Q' is neither."),
        (InputFileOptions(column=("x",)), "--column must be OURS=THEIRS, such as profile=customer_id, not 'x'."),
        (InputFileOptions(mapping=Path("none.toml")), "--mapping none.toml can't be read: No such file or directory."),
    ],
)
def test_invalid_options_are_named(options: InputFileOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options.parse()
