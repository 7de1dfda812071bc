"""nano: the shipped interaction model, the real architecture at small size."""
