"""Background jobs: refresh of outdated values, compaction, snapshots and retention."""
