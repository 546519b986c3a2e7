"""Policy decision point for Envoy and Istio: ext_authz answered from Rego compiled to decision tables."""

__version__ = "0.1.0"
