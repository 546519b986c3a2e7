"""The demonstration that `make demo` runs: real Envoy, real mTLS, a hot swap and a short load."""
