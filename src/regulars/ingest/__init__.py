"""Live writes: batches of writes, each committed by one function."""
