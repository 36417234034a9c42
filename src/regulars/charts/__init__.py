"""Charts of the answers of reports: one declaration for pages, files and notebooks."""
