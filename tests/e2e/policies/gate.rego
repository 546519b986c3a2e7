# What the end-to-end tests ask: each path is one kind of answer.
package envoy.authz

frontend := "spiffe://example.org/ns/web/sa/frontend"

is_frontend if input.identity.spiffe_id == frontend

default allow := false

allow if {
	is_frontend
	input.request.method in {"GET", "POST"}
	input.request.path == "/allowed"
}

allow := {"allowed": true, "headers": {
	"x-who": input.identity.spiffe_id,
	"x-where": input.request.destination,
}} if {
	input.parsed_path == ["whoami"]
}

allow := {
	"allowed": false,
	"http_status": 429,
	"headers": {"retry-after": "7", "x-many": ["a", "b"]},
	"body": "slow down\n",
} if {
	input.request.path == "/too-many"
}

allow := {
	"allowed": true,
	"headers": {"x-set": "by-policy", "x-new": "1"},
	"request_headers_to_remove": ["x-secret", "authorization"],
	"response_headers_to_add": {"x-decided-by": "authz", "x-list": ["a", "b"]},
} if {
	is_frontend
	input.request.path == "/headers"
}

tenant := {"plain": "acme", "special": "a b&c"}

allow := {
	"allowed": true,
	"query_parameters_to_set": {"tenant": tenant[input.parsed_path[1]]},
	"query_parameters_to_remove": ["debug"],
} if {
	is_frontend
	input.parsed_path[0] == "query"
}

# What a policy must not be able to do to its own upstream and client.
allow := {"allowed": true, "headers": {"x-a": "1\r\nx-injected: 1"}} if input.request.path == "/smuggle/request"

allow := {"allowed": true, "response_headers_to_add": {"x-a": "1\r\nx-injected: 1"}} if input.request.path == "/smuggle/response"

allow := {"allowed": false, "headers": {"x-a": "1\r\nx-injected: 1"}} if input.request.path == "/smuggle/denial"

allow := {"allowed": true, "headers": {":path": "/admin"}} if input.request.path == "/smuggle/path"

allow := {"allowed": true, "headers": {"host": "admin"}} if input.request.path == "/smuggle/host"

# Not decisions.
allow := "yes" if input.request.path == "/broken/string"

allow := {"headers": {}} if input.request.path == "/broken/object"

allow := {"allowed": "true"} if input.request.path == "/broken/allowed"

allow := {"allowed": true, "headers": {"x-a": "1"}} if input.request.path == "/broken/conflict"

allow := {"allowed": true, "headers": {"x-a": "2"}} if input.request.path == "/broken/conflict"
