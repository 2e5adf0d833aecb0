"""Open data: immutable versions, a pointer to the latest, and their metadata."""
