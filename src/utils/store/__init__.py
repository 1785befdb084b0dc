"""How results are stored: what they depend on, and whether a stored one can be used."""
