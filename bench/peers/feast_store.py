"""A feature store of Feast: its definitions, its configuration, and values in its online store."""

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource
from feast.types import Int64, PrimitiveFeastType, String, UnixTimestamp

from bench.peers.timing import measure
from regulars.core.field_type import FieldType

ROWS_PER_WRITE = 2_000


def open_filled_store(folder: str, values: str, online_store: str) -> None:
    """Defines a feature for each column of a Parquet file of values, and stores all rows online."""
    frame = pd.read_parquet(values, dtype_backend="numpy_nullable")
    path = Path(folder)
    path.mkdir()
    (path / "feature_store.yaml").write_text(
        json.dumps(
            {
                "project": "bench",
                "provider": "local",
                "registry": str(path / "registry.db"),
                "online_store": json.loads(online_store),
                "offline_store": {"type": "file"},
                "entity_key_serialization_version": 3,
            }
        )
    )
    store = FeatureStore(folder)
    store.apply(_definitions(frame, values))
    for start in range(0, len(frame), ROWS_PER_WRITE):
        store.write_to_online_store("aggregations", df=frame.iloc[start : start + ROWS_PER_WRITE])


def _definitions(frame: pd.DataFrame, values: str) -> list[object]:
    profile = Entity(name="profile", join_keys=["profile_id"], value_type=FieldType.STRING)
    source = PushSource(
        name="values", batch_source=FileSource(name="file", path=values, timestamp_field="event_timestamp")
    )
    names = [name for name in frame.columns if name not in ("profile_id", "event_timestamp")]
    view = FeatureView(
        name="aggregations",
        entities=[profile],
        ttl=timedelta(0),
        schema=[Field(name="profile_id", dtype=String)] + [Field(name=n, dtype=_type(frame[n])) for n in names],
        source=source,
        online=True,
    )
    return [profile, source, view, FeatureService(name="all_values", features=[view])]


def _type(column: pd.Series) -> PrimitiveFeastType:
    if pd.api.types.is_integer_dtype(column):
        return Int64
    return UnixTimestamp if pd.api.types.is_datetime64_any_dtype(column) else String


if __name__ == "__main__":
    measure(open_filled_store)
