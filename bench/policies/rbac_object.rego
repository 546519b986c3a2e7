# Roles in data and an answer with headers, as a gateway asks for. It stays as it is so that figures can be compared over time.
package envoy.authz

import rego.v1

default allow := {
	"allowed": false,
	"http_status": 403,
	"headers": {"x-authz-reason": "no-grant"},
	"body": "denied: no role of this caller is granted that\n",
}

allow := {
	"allowed": true,
	"headers": {"x-caller": input.identity.spiffe_id, "x-authz-policy": "rbac"},
	"request_headers_to_remove": ["x-debug"],
} if {
	is_granted
}

is_granted if {
	some role in data.user_roles[input.identity.spiffe_id]
	some grant in data.role_grants[role]
	grant.method == input.request.method
	startswith(input.request.path, grant.below)
}
