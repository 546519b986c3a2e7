"""What can be wrong with a policy bundle. Knows no format."""

from __future__ import annotations

from authz.errors import AuthzError, ErrorCode


class BundleError(AuthzError):
    """The bundle cannot be used; the message names the bundle or the file in it."""

    code = ErrorCode.BUNDLE


class SignatureError(BundleError):
    """The bundle is not signed as it must be."""

    code = ErrorCode.BUNDLE_SIGNATURE
