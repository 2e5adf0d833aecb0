"""Where departments serve their data: one module per kind of source."""
