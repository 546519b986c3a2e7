"""The policy decision point: snapshots, the decision they make and what is remembered of it. It waits for nothing."""

from authz.pdp.cache import CacheConfig, DecisionCache
from authz.pdp.decision import CacheUse, Decision
from authz.pdp.pdp import PDP
from authz.pdp.snapshot import EntryPoint, Policy, Reads, Snapshot, Table

__all__ = [
    "PDP",
    "CacheConfig",
    "CacheUse",
    "Decision",
    "DecisionCache",
    "EntryPoint",
    "Policy",
    "Reads",
    "Snapshot",
    "Table",
]
