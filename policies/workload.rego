# Who may call whom: one decision for every request that Envoy asks about.
#
# `envoy/authz/allow` is the entry point. Its steps are tried in order and the first that holds decides; nothing that follows
# can take a refusal back, and whatever reaches the end is denied. Who is granted what is data (data.json), not rules.
package envoy.authz

import data.envoy.authz.request

default allow := {
	"allowed": false,
	"http_status": 403,
	"headers": {"x-authz-reason": "no-grant"},
	"body": "denied: no grant for this caller, method and path\n",
}

allow := refusal(400, "ambiguous-request") if {
	request.is_ambiguous
} else := {"allowed": true} if {
	is_health_check
} else := refusal(403, "no-identity") if {
	not input.identity.spiffe_id
} else := refusal(421, "wrong-host") if {
	not request.host_is_served
} else := refusal(403, "too-many-rows") if {
	not request.limit_is_respected
} else := {
	"allowed": true,
	# Overwrites what the caller may have sent under that name.
	"headers": {"x-caller": input.identity.spiffe_id},
	"request_headers_to_remove": ["x-debug"],
} if {
	is_granted
}

# A reason is one of the codes above, never a text from the request.
refusal(status, reason) := {
	"allowed": false,
	"http_status": status,
	"headers": {"x-authz-reason": reason},
	"body": sprintf("denied: %s\n", [reason]),
}

# Load balancers have no identity. They learn that the process is up, nothing else: no query, no other method.
is_health_check if {
	input.request.method in {"GET", "HEAD"}
	input.request.path in {"/healthz", "/readyz"}
	count(input.parsed_query) == 0
}

# A workload calls exactly this path of another workload.
is_granted if {
	some grant in data.grants
	grant.caller == input.identity.spiffe_id
	grant.destination == input.request.destination
	grant.path == input.request.path
	input.request.method in grant.methods
}

# A workload calls everything below a path. `below` ends in a slash: `/v1/orders/` must not grant `/v1/orders-archive`.
is_granted if {
	some grant in data.grants
	grant.caller == input.identity.spiffe_id
	grant.destination == input.request.destination
	endswith(grant.below, "/")
	startswith(input.request.path, grant.below)
	input.request.method in grant.methods
}

# Every workload of a namespace calls a path of every workload, as monitoring does. A namespace means nothing without its
# trust domain: another mesh has one of the same name.
is_granted if {
	input.identity.trust_domain == data.trust_domain
	some grant in data.namespace_grants[input.identity.namespace]
	grant.path == input.request.path
	input.request.method in grant.methods
}
