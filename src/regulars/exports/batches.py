"""Hands rows to a writer, in a thread, so that the database and the writer work at the same time."""

import asyncio
from collections.abc import Callable

import pyarrow as pa

from regulars.exports.writers.writer import ExportWriter


class BatchSink:
    """Converts and writes batches of rows, one at a time; `rows` have been written."""

    def __init__(self, writer: ExportWriter, on_progress: Callable[[int], None]) -> None:
        self._writer = writer
        self._on_progress = on_progress
        self._running: asyncio.Task[None] | None = None
        self.rows = 0

    async def put(self, convert: Callable[[], pa.RecordBatch]) -> None:
        """Waits until the batch before is written, and starts to convert and write another one. Raises its errors."""
        await self._wait()
        self._running = asyncio.create_task(asyncio.to_thread(self._write, convert))

    async def finish(self) -> None:
        """Waits for the last batch, and writes what follows it."""
        await self._wait()
        self._running = asyncio.create_task(asyncio.to_thread(self._writer.finish))
        await self._wait()

    async def close(self) -> None:
        """Waits until no thread writes any more, also if it is cancelled meanwhile, and releases the writer."""
        while self._running is not None and not self._running.done():
            try:
                await asyncio.wait([self._running])
            except asyncio.CancelledError:
                continue
        if self._running is not None and not self._running.cancelled():
            # An error of a batch after which the export was cancelled is not reported.
            self._running.exception()
        self._writer.close()

    def _write(self, convert: Callable[[], pa.RecordBatch]) -> None:
        batch = convert()
        self._writer.write(batch)
        self.rows += batch.num_rows
        self._on_progress(self.rows)

    async def _wait(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            self._running = running
            raise
