"""Sources of settings, and error messages of invalid ones."""

from pathlib import Path

import pytest

from regulars import settings
from regulars.settings import SettingError, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "regulars.toml"


def test_defaults_apply_without_variables_and_file(file: Path) -> None:
    assert settings.load({}, file) == Settings()


def test_a_variable_overrides_the_file_which_overrides_the_default(file: Path) -> None:
    file.write_text('port = 9000\nhost = "0.0.0.0"\n')
    resolved = {each.name: (each.value, each.source) for each in settings.resolve({"REGULARS_PORT": "9001"}, file)}
    assert resolved["port"] == (9001, "REGULARS_PORT")
    assert resolved["host"] == ("0.0.0.0", str(file))  # noqa: S104
    assert resolved["workers"] == (1, "default")


def test_values_have_the_types_of_their_settings(file: Path) -> None:
    loaded = settings.load({"REGULARS_DATA_DIR": "/srv/club", "REGULARS_REFRESH_INTERVAL_SECONDS": "0.5"}, file)
    assert (loaded.data_dir, loaded.refresh_interval_seconds) == (Path("/srv/club"), 0.5)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("REGULARS_PORT", "http", "REGULARS_PORT is 'http'. It must be an integer."),
        (
            "REGULARS_REFRESH_INTERVAL_SECONDS",
            "often",
            "REGULARS_REFRESH_INTERVAL_SECONDS is 'often'. It must be a number.",
        ),
    ],
)
def test_a_variable_of_the_wrong_type_is_rejected(file: Path, variable: str, text: str, message: str) -> None:
    with pytest.raises(SettingError) as raised:
        settings.load({variable: text}, file)
    assert str(raised.value) == message


def test_a_value_of_the_wrong_type_in_the_file_is_rejected(file: Path) -> None:
    file.write_text('port = "http"\n')
    with pytest.raises(SettingError, match=r"port in .*regulars\.toml is 'http'"):
        settings.load({}, file)


def test_an_unknown_setting_in_the_file_is_rejected_with_the_allowed_ones(file: Path) -> None:
    file.write_text("prot = 9000\n")
    with pytest.raises(SettingError, match=r"Unknown setting 'prot' in .*Allowed: .*port"):
        settings.load({}, file)


def test_a_file_that_is_not_toml_is_rejected(file: Path) -> None:
    file.write_text("port: 9000\n")
    with pytest.raises(SettingError, match="is not valid TOML"):
        settings.load({}, file)


def test_variables_that_are_not_settings_are_found() -> None:
    assert settings.unknown_variables({"REGULARS_PROT": "1", "REGULARS_PORT": "1", "PATH": ""}) == ["REGULARS_PROT"]


def test_only_urls_and_tokens_are_secret(file: Path) -> None:
    assert [each.name for each in settings.resolve({}, file) if each.secret] == [
        "database_url",
        "migration_database_url",
        "operations_token",
        "oidc_client_secret",
    ]
