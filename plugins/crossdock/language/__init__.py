"""The two languages that people read: which one they want, and what crossdock says in it."""
