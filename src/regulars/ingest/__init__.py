"""Live writes: validated batches are committed with everything that is derived from them."""
