"""The store of bytes and the state database."""
