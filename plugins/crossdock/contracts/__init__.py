"""Contracts, agreements and departments: the YAML that people write, and the values it becomes."""
