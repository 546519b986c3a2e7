"""Policies on disk → bundles for others: packed, signed, kept as versions, served. Knows nothing of who decides by them."""
