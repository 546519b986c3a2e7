"""Keeping what decides up to date: policy directories today; one refresher, one activation."""
