"""Tests of `authz.services`."""
