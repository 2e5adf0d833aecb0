"""The append-only, tamper-evident record of deliveries and their share events."""
