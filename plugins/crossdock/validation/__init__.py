"""Great Expectations judges, Arrow does the work: extract in, verdict, snapshot and quarantine out."""
