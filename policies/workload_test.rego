package envoy.authz_test

import data.envoy.authz

orders := "spiffe://example.org/ns/shop/sa/orders"

payments := "spiffe://example.org/ns/shop/sa/payments"

frontend := {
	"source": "xfcc",
	"spiffe_id": "spiffe://example.org/ns/web/sa/frontend",
	"trust_domain": "example.org",
	"path": "/ns/web/sa/frontend",
	"namespace": "web",
	"service_account": "frontend",
}

scraper := {
	"source": "principal",
	"spiffe_id": "spiffe://example.org/ns/monitoring/sa/prometheus",
	"trust_domain": "example.org",
	"path": "/ns/monitoring/sa/prometheus",
	"namespace": "monitoring",
	"service_account": "prometheus",
}

nobody := {"source": "none"}

# The input document of a request without a query to the orders workload.
asks(identity, method, path) := {
	"identity": identity,
	"request": {
		"method": method,
		"path": path,
		"host": "orders.shop.example",
		"scheme": "https",
		"destination": orders,
	},
	"parsed_path": split(trim_left(path, "/"), "/"),
	"parsed_query": {},
}

queries(document, query) := object.union(document, {"parsed_query": query})

changes(document, request) := object.union(document, {"request": request})

is_refused(decision, status, reason) if {
	decision.allowed == false
	decision.http_status == status
	decision.headers["x-authz-reason"] == reason
}

test_frontend_creates_an_order if {
	decision := authz.allow with input as asks(frontend, "POST", "/v1/orders")
	decision.allowed == true
}

test_the_upstream_learns_the_caller_and_loses_the_debug_header if {
	decision := authz.allow with input as asks(frontend, "GET", "/v1/orders")
	decision.headers == {"x-caller": "spiffe://example.org/ns/web/sa/frontend"}
	decision.request_headers_to_remove == ["x-debug"]
}

test_frontend_reads_below_orders if {
	decision := authz.allow with input as asks(frontend, "GET", "/v1/orders/42/items")
	decision.allowed
}

test_frontend_does_not_write_below_orders if {
	decision := authz.allow with input as asks(frontend, "POST", "/v1/orders/42")
	is_refused(decision, 403, "no-grant")
}

test_a_path_that_only_begins_alike_is_not_granted if {
	decision := authz.allow with input as asks(frontend, "GET", "/v1/orders-archive")
	is_refused(decision, 403, "no-grant")
}

test_a_method_is_compared_as_it_is_written if {
	decision := authz.allow with input as asks(frontend, "get", "/v1/orders")
	is_refused(decision, 403, "no-grant")
}

test_another_destination_is_not_granted if {
	document := changes(asks(frontend, "POST", "/v1/orders"), {"destination": payments, "host": "payments.shop.example"})
	decision := authz.allow with input as document
	is_refused(decision, 403, "no-grant")
}

test_a_look_alike_caller_is_not_granted if {
	identity := object.union(frontend, {"spiffe_id": "spiffe://example.org/ns/web/sa/frontend2", "service_account": "frontend2"})
	decision := authz.allow with input as asks(identity, "GET", "/v1/orders")
	is_refused(decision, 403, "no-grant")
}

test_a_federated_caller_is_granted_by_its_whole_id if {
	identity := {
		"source": "xfcc",
		"spiffe_id": "spiffe://partner.example/ns/billing/sa/reader",
		"trust_domain": "partner.example",
		"namespace": "billing",
	}
	document := changes(asks(identity, "GET", "/v1/invoices/7"), {"destination": payments, "host": "payments.shop.example"})
	decision := authz.allow with input as document
	decision.allowed
}

test_without_identity_there_is_no_grant if {
	decision := authz.allow with input as asks(nobody, "POST", "/v1/orders")
	is_refused(decision, 403, "no-identity")
}

test_a_refused_identity_is_no_identity if {
	decision := authz.allow with input as asks({"source": "none", "reason": "principal_mismatch"}, "POST", "/v1/orders")
	is_refused(decision, 403, "no-identity")
}

test_health_needs_no_identity if {
	every path in ["/healthz", "/readyz"] {
		decision := authz.allow with input as asks(nobody, "GET", path)
		decision == {"allowed": true}
	}
}

test_health_is_only_health if {
	post := authz.allow with input as asks(nobody, "POST", "/healthz")
	below := authz.allow with input as asks(nobody, "GET", "/healthz/secrets")
	query := authz.allow with input as queries(asks(nobody, "GET", "/healthz"), {"verbose": [""]})
	every decision in [post, below, query] {
		is_refused(decision, 403, "no-identity")
	}
}

test_monitoring_reads_metrics_of_every_workload if {
	decision := authz.allow with input as asks(scraper, "GET", "/metrics")
	decision.allowed
}

test_monitoring_reads_nothing_else if {
	decision := authz.allow with input as asks(scraper, "GET", "/v1/orders")
	is_refused(decision, 403, "no-grant")
}

test_a_namespace_of_another_trust_domain_is_another_namespace if {
	decision := authz.allow with input as asks(object.union(scraper, {"trust_domain": "evil.test"}), "GET", "/metrics")
	is_refused(decision, 403, "no-grant")
}

test_ambiguous_paths_are_refused_for_everybody if {
	every path in [
		"/v1/orders/../charges",
		"/v1/./orders",
		"//v1/orders",
		"/v1/orders;admin=1",
		"/v1/orders/%252e%252e",
		"/v1/orders%2F42",
		"/v1\\orders",
		"*",
	] {
		decision := authz.allow with input as asks(frontend, "GET", path)
		is_refused(decision, 400, "ambiguous-request")
	}
}

test_a_request_without_a_path_is_refused if {
	document := {"identity": frontend, "request": {"method": "CONNECT", "destination": orders}, "parsed_path": [""], "parsed_query": {}}
	decision := authz.allow with input as document
	is_refused(decision, 400, "ambiguous-request")
}

test_the_case_and_the_port_of_a_host_do_not_matter if {
	decision := authz.allow with input as changes(asks(frontend, "GET", "/v1/orders"), {"host": "Orders.Shop.Example:8443"})
	decision.allowed
}

test_a_host_that_is_not_served_is_refused if {
	every host in ["payments.shop.example", "orders.shop.example,evil.test", "", "evil.test"] {
		decision := authz.allow with input as changes(asks(frontend, "GET", "/v1/orders"), {"host": host})
		is_refused(decision, 421, "wrong-host")
	}
}

test_without_a_destination_no_host_is_served if {
	document := asks(frontend, "GET", "/v1/orders")
	request := object.remove(document.request, ["destination"])
	decision := authz.allow with input as {
		"identity": frontend,
		"request": request,
		"parsed_path": document.parsed_path,
		"parsed_query": {},
	}
	is_refused(decision, 421, "wrong-host")
}

test_a_page_up_to_the_largest_is_served if {
	every limit in ["1", "500"] {
		decision := authz.allow with input as queries(asks(frontend, "GET", "/v1/orders"), {"limit": [limit]})
		decision.allowed
	}
}

test_a_limit_that_is_large_repeated_or_no_number_is_refused if {
	every limits in [["501"], ["1", "9999"], ["-1"], ["1e3"], [""], ["99999999999"], ["\u0661"]] {
		decision := authz.allow with input as queries(asks(frontend, "GET", "/v1/orders"), {"limit": limits})
		is_refused(decision, 403, "too-many-rows")
	}
}

test_an_empty_input_is_refused if {
	decision := authz.allow with input as {}
	is_refused(decision, 400, "ambiguous-request")
}

test_without_data_nothing_is_granted if {
	decision := authz.allow with input as asks(frontend, "GET", "/v1/orders") with data.grants as []
	is_refused(decision, 403, "no-grant")
}
