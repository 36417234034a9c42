"""Where a setting comes from, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from regulars import settings
from regulars.settings import SettingError, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "regulars.toml"


def test_without_anything_the_defaults_hold(file: Path) -> None:
    assert settings.load({}, file) == Settings()


def test_a_variable_wins_over_the_file_which_wins_over_the_default(file: Path) -> None:
    file.write_text('port = 9000\nhost = "0.0.0.0"\n')
    found = {each.name: (each.value, each.source) for each in settings.resolve({"REGULARS_PORT": "9001"}, file)}
    assert found["port"] == (9001, "REGULARS_PORT")
    assert found["host"] == ("0.0.0.0", str(file))  # noqa: S104
    assert found["workers"] == (1, "default")


def test_values_have_the_types_of_their_settings(file: Path) -> None:
    found = settings.load({"REGULARS_DATA_DIR": "/srv/club", "REGULARS_REFRESH_INTERVAL_SECONDS": "0.5"}, file)
    assert (found.data_dir, found.refresh_interval_seconds) == (Path("/srv/club"), 0.5)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("REGULARS_PORT", "http", "REGULARS_PORT is 'http', which is not a whole number: change it."),
        (
            "REGULARS_REFRESH_INTERVAL_SECONDS",
            "often",
            "REGULARS_REFRESH_INTERVAL_SECONDS is 'often', which is not a number: change it.",
        ),
    ],
)
def test_a_variable_of_the_wrong_type_is_named(file: Path, variable: str, text: str, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        settings.load({variable: text}, file)
    assert str(raised.value) == said


def test_a_wrong_value_in_the_file_is_named_with_the_file(file: Path) -> None:
    file.write_text('port = "http"\n')
    with pytest.raises(SettingError, match=r"port in .*regulars\.toml is 'http'"):
        settings.load({}, file)


def test_an_unknown_name_in_the_file_is_refused_and_the_known_ones_listed(file: Path) -> None:
    file.write_text("prot = 9000\n")
    with pytest.raises(SettingError, match=r"sets 'prot', which is no setting.*port"):
        settings.load({}, file)


def test_a_file_that_is_no_toml_is_said_to_be_none(file: Path) -> None:
    file.write_text("port: 9000\n")
    with pytest.raises(SettingError, match="is no TOML"):
        settings.load({}, file)


def test_misspelt_variables_are_found() -> None:
    assert settings.unknown_variables({"REGULARS_PROT": "1", "REGULARS_PORT": "1", "PATH": ""}) == ["REGULARS_PROT"]


def test_only_urls_and_tokens_are_secret(file: Path) -> None:
    assert [each.name for each in settings.resolve({}, file) if each.secret] == [
        "database_url",
        "migration_database_url",
        "operations_token",
    ]
