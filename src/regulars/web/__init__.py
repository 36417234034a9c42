"""The web framework of the API: endpoints as data, routing, bodies, errors, OpenAPI."""
