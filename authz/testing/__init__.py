"""Tests of policies, written in Rego: found, evaluated, explained. Reads no files, no clock, and prints nothing."""

from authz.testing.discovery import RegoTest, discover
from authz.testing.result import Case, Outcome, Result, Stop
from authz.testing.suite import Suite, compile_suite

__all__ = ["Case", "Outcome", "RegoTest", "Result", "Stop", "Suite", "compile_suite", "discover"]
