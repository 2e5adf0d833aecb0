"""What leaves, in what form, to whom: deliveries that can be repeated and proved."""
