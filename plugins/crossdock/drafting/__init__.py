"""Drafting a contract from data: everything is guessed from all rows, and a person confirms each guess."""
