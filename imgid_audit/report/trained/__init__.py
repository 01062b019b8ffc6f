"""How the audited network was trained and whether it fits: in words, tables and drawings."""
