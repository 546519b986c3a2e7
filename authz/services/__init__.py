"""Control planes as OPA has them: where policy bundles come from, what they are told, and a server of bundles. It yields bytes."""
