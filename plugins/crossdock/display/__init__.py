"""What people see: contracts, quality and sharing, in the terminal."""
