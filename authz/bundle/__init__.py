"""What a policy's source is: modules, data and a revision out of files. Pure; reads no disk."""

from authz.bundle.directory import PolicySource, SourceError, SourceFile, policy_source

__all__ = ["PolicySource", "SourceError", "SourceFile", "policy_source"]
