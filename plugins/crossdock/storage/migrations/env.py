"""Runs crossdock's migrations on the connection that `crossdock.storage.state` hands over."""

from __future__ import annotations

from alembic import context

from crossdock.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
