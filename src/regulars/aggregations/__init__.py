"""The values of one profile: declarations, compilation to SQL, storage and reads."""
