"""The door in: every write is a batch that one function commits."""
