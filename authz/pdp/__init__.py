"""The policy decision point: snapshots, the decision they make and what is remembered of it. It waits for nothing."""

from authz.pdp.cache import CacheConfig, DecisionCache
from authz.pdp.decision import CacheUse, Decision
from authz.pdp.evaluation import EntryPoint, Reads, Responses, Table
from authz.pdp.pdp import PDP, Suspended, Suspension, failed, failed_by
from authz.pdp.rehearsal import RehearsalError, RehearsalReport, added_up, superseded, verdict
from authz.pdp.shadow import Shadow
from authz.pdp.snapshot import Policy, Snapshot

__all__ = [
    "PDP",
    "CacheConfig",
    "CacheUse",
    "Decision",
    "DecisionCache",
    "EntryPoint",
    "Policy",
    "Reads",
    "RehearsalError",
    "RehearsalReport",
    "Responses",
    "Shadow",
    "Snapshot",
    "Suspended",
    "Suspension",
    "Table",
    "added_up",
    "failed",
    "failed_by",
    "superseded",
    "verdict",
]
