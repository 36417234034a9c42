"""The tables of the job queue, as its library declares them."""

from procrastinate.schema import SchemaManager
from yoyo import step

__depends__ = {"0005.members"}

steps = [step(SchemaManager.get_schema())]
