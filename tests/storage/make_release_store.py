"""Creates the populated store that the upgrade test starts from, as a step of a release.

Run in the root of the repository, on the code of the release: `PYTHONPATH=tests python -m storage.make_release_store`.
It needs PostgreSQL 15, so that the store can be restored into every supported version.
"""

import asyncio

from clubs import ManualClock
from postgres_servers import OLDEST_BINARIES, oldest_server
from regulars.storage.database import Database
from storage.release_store import (
    ANSWERS,
    AS_OF,
    SCRIPT,
    answer,
    client,
    populate,
    requests,
    write_answers,
    write_script,
)


async def main() -> None:
    """Writes both files."""
    with oldest_server() as (owner_url, app_url):
        clock = ManualClock(AS_OF)
        async with Database(app_url, 4, clock) as database:
            pair = await populate(database, clock)
            async with client(database, pair) as http:
                recorded = [{**each, "answer": await answer(http, each)} for each in await requests(http)]
        # The owner of the tables does not see the rows of every community; the superuser does.
        write_script(owner_url.replace("regulars_owner@", "postgres@"), OLDEST_BINARIES / "pg_dump")
    write_answers(pair, recorded)
    failed = [each for each in recorded if each["answer"]["status"] != 200]
    print(f"{len(recorded)} answers, {len(failed)} of them errors: {failed[:3]}")
    for path in (SCRIPT, ANSWERS):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    asyncio.run(main())
