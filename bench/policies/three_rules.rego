# The policy of the benches. It stays as it is so that figures can be compared over time.
package envoy.authz

import rego.v1

default allow := false

allow if {
	input.identity.spiffe_id == "spiffe://corp.example.com/ns/payment/sa/frontend"
	input.request.method == "POST"
	input.request.path == "/v1/transactions"
}

allow if {
	input.identity.spiffe_id == "spiffe://corp.example.com/ns/analytics/sa/reporter"
	input.request.method in {"GET", "HEAD"}
	startswith(input.request.path, "/v1/transactions/")
}

allow if {
	input.identity.spiffe_id == "spiffe://corp.example.com/ns/payment/sa/frontend"
	input.attributes.request.http.headers["x-tenant"] == "acme-retail-emea"
	input.parsed_path[0] == "v1"
	input.request.method == "GET"
}
