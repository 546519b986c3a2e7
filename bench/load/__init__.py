"""Loads at constant rates, free of coordinated omission: what callers wait for, while all is quiet and while policies are swapped."""
