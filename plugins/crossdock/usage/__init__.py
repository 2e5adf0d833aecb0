"""How open data is used: downloads and visits, from the access logs of whatever serves the open area."""
