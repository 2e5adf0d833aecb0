"""crossdock: pull, validate, push, publish, and a ledger of every record shared."""

__version__ = "0.1.0"
