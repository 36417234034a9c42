"""The pages, each a handler of a visit."""
