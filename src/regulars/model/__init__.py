"""The entities: one module or package an entity, with its schema, its table and its rules."""
