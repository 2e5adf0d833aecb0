"""A province in small: departments with real and generated data, the consumers, and one run of everything."""
