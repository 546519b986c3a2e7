"""What holds for all tests: set before any of them imports gRPC."""

from __future__ import annotations

import os

# Tests fork: `bench.lab.process` ties children to this process before they exec. gRPC's handler for that revives its threads in the child,
# where their descriptors are closed by then, and aborts it. A child that execs at once has no use for gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
