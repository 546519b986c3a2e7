"""A laboratory on one machine: CA, real Envoy, `authz`, an upstream and mTLS clients.

Shared by the demo, the end-to-end tests and the load bench. Decides nothing
about policies and asserts nothing: callers bring both.
"""

from bench.lab.lab import Lab, LabOptions

__all__ = ["Lab", "LabOptions"]
