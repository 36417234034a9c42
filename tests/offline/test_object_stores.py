"""Object stores by URL, against a local server that speaks S3."""

import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

import regulars
from offline.purchase_tables import AS_OF, compute_spend, table, write_csv
from regulars.offline import object_stores
from regulars.offline.errors import InputNotFoundError, InvalidInputError

LAKE = "s3://lake"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server with one bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/lake", method="PUT"), timeout=10):  # noqa: S310
        pass
    yield address
    server.stop()


@pytest.fixture(autouse=True)
def lake(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The file system of the bucket, with credentials and endpoint in environment variables."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-north-1"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
    ):
        monkeypatch.setenv(name, value)
    return object_stores.file_system(LAKE)


@pytest.mark.slow
def test_files_folders_and_patterns_are_read(tmp_path: Path, lake: Any) -> None:
    pq.write_table(table(), tmp_path / "sales.parquet")
    lake.put_file(str(tmp_path / "sales.parquet"), f"{LAKE}/sales/year=2026/sales.parquet")
    for path in ("sales", "sales/", "sales/*/*.parquet", "sales/year=2026/sales.parquet"):
        assert compute_spend(f"{LAKE}/{path}") == {"M1": "5.00"}
    lake.put_file(str(write_csv(tmp_path, "T1,M2,2026-10-01,7")), f"{LAKE}/texts/sales.csv")
    for path in ("texts", "texts/*.csv"):
        assert compute_spend(f"{LAKE}/{path}", profiles=pa.table({"external_id": ["M2"]})) == {"M2": "7.00"}


def test_both_variables_set_the_endpoint(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    regulars.compute(table(), as_of=AS_OF, output=f"{LAKE}/either.parquet")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT", endpoint)
    assert object_stores.file_system(LAKE).exists(f"{LAKE}/either.parquet")


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_files_in_a_store_equal_files_on_disk(tmp_path: Path, lake: Any, extension: str) -> None:
    for path in (f"{LAKE}/out/values.{extension}", tmp_path / f"values.{extension}"):
        regulars.compute(table(), as_of=AS_OF, output=path)
    assert lake.cat_file(f"{LAKE}/out/values.{extension}") == (tmp_path / f"values.{extension}").read_bytes()


def test_an_existing_file_is_not_changed_if_the_computation_fails(tmp_path: Path, lake: Any) -> None:
    target = f"{LAKE}/existing/values.csv"
    lake.pipe_file(target, b"old")
    sales = write_csv(tmp_path, *(f"T{n},M1,2026-10-01,5" for n in range(30_000)), "T,M1,2026-10-01,5,6")
    with pytest.raises(InvalidInputError, match="line 30002 has 5 fields"):
        regulars.compute(sales, as_of=AS_OF, output=target)
    assert lake.cat_file(target) == b"old"


def test_missing_files_are_an_error() -> None:
    for path in ("none.parquet", "none/*.csv"):
        with pytest.raises(InvalidInputError) as error:
            compute_spend(f"{LAKE}/{path}")
        assert str(error.value) == f"transactions: {LAKE}/{path} can't be read: it does not exist."


def test_errors_of_the_store_are_reported(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^s3://unknown/sales can't be read: Generic S3 error: .*404 Not Found\.$"
    ):
        compute_spend("s3://unknown/sales")
    with pytest.raises(
        InvalidInputError, match=r"^transactions: s3://unknown/sales\.csv can't be read: .*404 Not Found\.$"
    ):
        compute_spend("s3://unknown/sales.csv")
    with pytest.raises(InvalidInputError, match=r"^s3://unknown/values\.csv can't be written: .*404 Not Found.*\.$"):
        regulars.compute(table(), as_of=AS_OF, output="s3://unknown/values.csv")
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(InvalidInputError, match=r"^s3://lake/sales can't be read: .*HTTP error: builder error\.$"):
        compute_spend(f"{LAKE}/sales")


def test_an_azure_store_needs_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(InvalidInputError) as error:
        compute_spend("az://lake/sales")
    assert str(error.value) == (
        "az://lake/sales can't be read: Generic MicrosoftAzure error: Account must be specified."
    )


def test_unsupported_urls_are_rejected() -> None:
    with pytest.raises(InputNotFoundError) as error:
        compute_spend("hdfs://lake/sales")
    assert str(error.value) == (
        "Unsupported URL hdfs://lake/sales. Use a path, or a URL with s3://, gs://, az://, file://."
    )
