"""HTTP: thin; one module a resource."""
