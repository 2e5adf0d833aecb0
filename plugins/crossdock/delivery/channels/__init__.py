"""How deliveries travel: one module per channel, found by its name."""
