"""Serving: the gRPC server and what a service has to look like to be served.

This package waits and writes; it decides nothing. `grpcio_transport` is not part of this face: only who asks for that
transport pays for loading grpcio.
"""

from authz.server.address import Address, AddressError, TcpAddress, UnixAddress, parse_address
from authz.server.health import HealthRegistry, HealthStatus
from authz.server.limits import Limits
from authz.server.listener import GrpcServer, serve
from authz.server.rpc import Call, RpcError, ServerStream, Service, Status, Unary

__all__ = [
    "Address",
    "AddressError",
    "Call",
    "GrpcServer",
    "HealthRegistry",
    "HealthStatus",
    "Limits",
    "RpcError",
    "ServerStream",
    "Service",
    "Status",
    "TcpAddress",
    "Unary",
    "UnixAddress",
    "parse_address",
    "serve",
]
