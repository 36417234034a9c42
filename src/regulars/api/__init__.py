"""Endpoints of the HTTP APIs, one module per resource, and the application that serves them."""
