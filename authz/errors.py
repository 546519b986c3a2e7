"""The closed set of codes by which `authz` says why.

Codes are metric labels and log fields, so their number is bounded by
construction. This module knows no message texts and no other module of ours.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a check was answered as it was (one per decision)."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NO_POLICY = "no_policy"
    STALE_POLICY = "stale_policy"
    UNDEFINED = "undefined"
    EVAL_ERROR = "eval_error"
    BAD_DECISION = "bad_decision"
    BAD_REQUEST = "bad_request"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    OVERLOADED = "overloaded"
    INTERNAL_ERROR = "internal_error"


class ErrorCode(StrEnum):
    """What kind of thing went wrong outside a decision."""

    CONFIG = "config"
    ADDRESS = "address"
    POLICY_SOURCE = "policy_source"
    BUNDLE = "bundle"
    BUNDLE_SIGNATURE = "bundle_signature"
    POLICY_COMPILE = "policy_compile"
    POLICY_TESTS = "policy_tests"
    CANARY = "canary"
    ACTIVATION = "activation"
    PERSISTENCE = "persistence"
    IDENTITY = "identity"
    WIRE = "wire"


class AuthzError(Exception):
    """Root of every error we raise; `code` is from the closed set, `help` names the fix."""

    code: str = ErrorCode.CONFIG

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
