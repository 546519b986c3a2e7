"""The numbers of RSA private keys: which belong together, by the checks of Go's crypto/rsa and in its words.

Knows neither formats nor signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from authz.rego.builtins.der import DerError

MAX_BITS: Final = 16_384
"""Size of a modulus: what is done with a key takes time that grows with its square or cube."""


@dataclass(frozen=True, slots=True)
class RsaNumbers:
    """A private key of two primes, with the values of the Chinese remainder theorem that belong to them."""

    n: int
    e: int
    d: int
    p: int
    q: int
    dp: int
    dq: int
    qinv: int

    def private_key(self) -> rsa.RSAPrivateKey:
        """Return the key to sign with; these numbers were checked. Raises ValueError for numbers that only Go signs with."""
        numbers = rsa.RSAPrivateNumbers(self.p, self.q, self.d, self.dp, self.dq, self.qinv, rsa.RSAPublicNumbers(self.e, self.n))
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def checked(n: int, e: int, private: tuple[int, int, int], given: tuple[int | None, int | None, int | None]) -> RsaNumbers:
    """Return the key of n, e and (d, p, q); what of (dp, dq, qinv) is not given is computed. Raises DerError."""
    d, p, q = private
    if n.bit_length() > MAX_BITS:
        raise DerError(f"crypto/rsa: modulus has more than {MAX_BITS} bits")
    if min(n, p, q) <= 1:
        raise DerError("modulus must be > 1")
    if d >= n:
        raise DerError("input overflows the modulus")
    dp, dq, qinv = given
    if dp is None or dq is None or qinv is None:
        if p % 2 == 0:
            raise DerError("crypto/rsa: p is even")
        dp, dq, qinv = d % (p - 1), d % (q - 1), _inverse(q, p)
    if qinv >= p:
        raise DerError("input overflows the modulus")
    key = RsaNumbers(n, e, d, p, q, dp, dq, qinv)
    _check_public(n, e)
    _check_primes(key)
    return key


def _inverse(q: int, p: int) -> int:
    try:
        return pow(q, -1, p)
    except ValueError:
        raise DerError("crypto/rsa: invalid CRT coefficient") from None


def _check_public(n: int, e: int) -> None:
    if n % 2 == 0:
        raise DerError("crypto/rsa: public modulus is even")
    if e < 2:
        raise DerError("crypto/rsa: public exponent too small or negative")
    if e % 2 == 0:
        raise DerError("crypto/rsa: public exponent is even")
    if e >= 2**31:
        raise DerError("crypto/rsa: public exponent too large")


def _check_primes(key: RsaNumbers) -> None:
    if key.p >= key.n or key.q >= key.n:
        raise DerError("crypto/rsa: invalid prime")
    if key.p * key.q % key.n:
        raise DerError("crypto/rsa: p * q != n")
    for prime, exponent in ((key.p, key.dp), (key.q, key.dq)):
        if exponent >= prime - 1 or key.e * exponent % (prime - 1) != 1:
            raise DerError("crypto/rsa: invalid CRT exponent")
    if key.q * key.qinv % key.p != 1:
        raise DerError("crypto/rsa: invalid CRT coefficient")
    if key.d % (key.p - 1) != key.dp:
        raise DerError("crypto/rsa: d does not match dP")
    if key.d % (key.q - 1) != key.dq:
        raise DerError("crypto/rsa: d does not match dQ")
    half = key.n.bit_length() // 2
    if abs(key.p - key.q).bit_length() <= half - 100:
        raise DerError("crypto/rsa: |p - q| too small")
    if key.d.bit_length() <= half:
        raise DerError("crypto/rsa: d too small")
