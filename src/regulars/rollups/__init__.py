"""The machinery that keeps counts and rollups correct: compaction, partitions, bitmaps, snapshots."""
