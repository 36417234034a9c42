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
    """The files of the bucket; who asks and where is told as usual, by variables."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-north-1"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
    ):
        monkeypatch.setenv(name, value)
    return object_stores.file_system(LAKE)


def test_files_folders_and_patterns_are_read(tmp_path: Path, lake: Any) -> None:
    pq.write_table(table(), tmp_path / "sales.parquet")
    lake.put_file(str(tmp_path / "sales.parquet"), f"{LAKE}/sales/year=2026/sales.parquet")
    for place in ("sales", "sales/", "sales/*/*.parquet", "sales/year=2026/sales.parquet"):
        assert compute_spend(f"{LAKE}/{place}") == {"M1": "5.00"}
    lake.put_file(str(write_csv(tmp_path, "T1,M2,2026-10-01,7")), f"{LAKE}/texts/sales.csv")
    for place in ("texts", "texts/*.csv"):
        assert compute_spend(f"{LAKE}/{place}", profiles=pa.table({"external_id": ["M2"]})) == {"M2": "7.00"}


def test_an_endpoint_may_be_called_either_way(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    regulars.compute(table(), as_of=AS_OF, output=f"{LAKE}/either.parquet")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT", endpoint)
    assert object_stores.file_system(LAKE).exists(f"{LAKE}/either.parquet")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_values_are_written_as_to_a_disk(tmp_path: Path, lake: Any, ending: str) -> None:
    for place in (f"{LAKE}/out/values.{ending}", tmp_path / f"values.{ending}"):
        regulars.compute(table(), as_of=AS_OF, output=place)
    assert lake.cat_file(f"{LAKE}/out/values.{ending}") == (tmp_path / f"values.{ending}").read_bytes()


def test_what_was_there_stays_until_all_is_computed(tmp_path: Path, lake: Any) -> None:
    place = f"{LAKE}/kept/values.csv"
    lake.pipe_file(place, b"of yesterday")
    path = write_csv(tmp_path, *(f"T{n},M1,2026-10-01,5" for n in range(30_000)), "T,M1,2026-10-01,5,6")
    with pytest.raises(InvalidInputError, match="line 30002 has 5 fields"):
        regulars.compute(path, as_of=AS_OF, output=place)
    assert lake.cat_file(place) == b"of yesterday"


def test_what_is_not_there_is_told() -> None:
    for place in ("none.parquet", "none/*.csv"):
        with pytest.raises(InvalidInputError) as refused:
            compute_spend(f"{LAKE}/{place}")
        assert str(refused.value) == f"transactions: {LAKE}/{place} can't be read: nothing is there."


def test_a_store_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^s3://nobody/sales can't be read: Generic S3 error: .*404 Not Found\.$"
    ):
        compute_spend("s3://nobody/sales")
    with pytest.raises(
        InvalidInputError, match=r"^transactions: s3://nobody/sales\.csv can't be read: .*404 Not Found\.$"
    ):
        compute_spend("s3://nobody/sales.csv")
    with pytest.raises(InvalidInputError, match=r"^s3://nobody/values\.csv can't be written: .*404 Not Found.*\.$"):
        regulars.compute(table(), as_of=AS_OF, output="s3://nobody/values.csv")
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(InvalidInputError, match=r"^s3://lake/sales can't be read: .*HTTP error: builder error\.$"):
        compute_spend(f"{LAKE}/sales")


def test_an_azure_store_needs_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(InvalidInputError) as refused:
        compute_spend("az://lake/sales")
    assert str(refused.value) == (
        "az://lake/sales can't be read: Generic MicrosoftAzure error: Account must be specified."
    )


def test_other_urls_are_refused_before_anything_is_read() -> None:
    with pytest.raises(InputNotFoundError) as refused:
        compute_spend("hdfs://lake/sales")
    assert str(refused.value) == (
        "hdfs://lake/sales can't be reached from here: give a path, or a URL with s3://, gs://, az://, file://."
    )
