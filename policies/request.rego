# What is true of a request whoever sends it. No identity and no grant is looked at here.
#
# A condition that must hold is written as a positive fact, so that a missing field makes it undefined and the decision a
# refusal.
package envoy.authz.request

# Envoy with the settings of envoy/standalone-mtls.yaml lets none of these through; another proxy in front might.
is_ambiguous if {
	not is_rooted
}

# A rule of its own, because `not startswith(input.request.path, "/")` is undefined, not true, where there is no path.
is_rooted if {
	startswith(input.request.path, "/")
}

is_ambiguous if {
	# `//` and `;` mean different paths to different servers, a backslash is a slash to some; `%25`, `%2f`, `%5c` and `%00` are what
	# is left when somebody encoded twice.
	some mark in {"//", ";", "\\", "%25", "%2f", "%5c", "%00"}
	contains(lower(input.request.path), mark)
}

is_ambiguous if {
	some segment in input.parsed_path
	segment in {".", ".."}
}

# The host is one that the destination serves; case and port do not matter, two hosts in one header do.
host_is_served if {
	host := split(lower(input.request.host), ":")[0]
	host in data.hosts[input.request.destination]
}

# A list is read in pages: `limit`, where it is given, is given once and is a number up to the largest page.
limit_is_respected if {
	not input.parsed_query.limit
}

limit_is_respected if {
	count(input.parsed_query.limit) == 1
	text := input.parsed_query.limit[0]
	regex.match(`^[0-9]{1,6}$`, text)
	to_number(text) <= data.largest_page
}
