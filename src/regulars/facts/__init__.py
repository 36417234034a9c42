"""Who and what: one module an entity, with its shape on the wire, its table and its rules."""
