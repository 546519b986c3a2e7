"""Envoy's ext_authz messages: a check request becomes an input document, a decision becomes a check response. It decides nothing."""

from authz.extauthz.answer import ALLOWED, DENIED, Answer, Answers, encode_answer
from authz.extauthz.errors import BadDecisionError, BadRequestError
from authz.extauthz.projection import Leaves, Projection
from authz.extauthz.request import decode
from authz.extauthz.response import Changes, Refusal, allow, deny
from authz.extauthz.view import IdentitySource, InputConfig, full_document

__all__ = [
    "ALLOWED",
    "DENIED",
    "Answer",
    "Answers",
    "BadDecisionError",
    "BadRequestError",
    "Changes",
    "IdentitySource",
    "InputConfig",
    "Leaves",
    "Projection",
    "Refusal",
    "allow",
    "decode",
    "deny",
    "encode_answer",
    "full_document",
]
