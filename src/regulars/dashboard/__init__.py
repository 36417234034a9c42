"""Pages for people, rendered on the server from the public APIs."""
