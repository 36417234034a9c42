"""The web framework: endpoint declarations, routing, request handling, bodies, errors, OpenAPI."""
