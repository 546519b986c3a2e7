"""AWS signatures: those of AWS's documentation, and where keys come from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from yarl import URL

from authz.rego.builtins.sigv4 import AwsKeys
from authz.services.aws import AwsSigning, EnvironmentKeys, KeySource, ProfileKeys, Signer, sign
from authz.services.errors import ServiceError
from authz.services.settings import ProfileCredentials
from authz.services.transport import Request
from tests.outbound.upstream import run

SIGNER = Signer(AwsKeys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "us-east-1")
WHEN = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (
            Request("GET", URL(f"{HOST}/test.txt"), {"Range": "bytes=0-9"}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (Request("GET", URL(f"{HOST}/?lifecycle")), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (Request("GET", URL(f"{HOST}/?prefix=J&max-keys=2")), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_a_signature_is_the_one_of_awss_examples(request_: Request, signature: str) -> None:
    """Amazon S3 API reference, "Signature Calculations: Examples"."""
    assert sign(request_, SIGNER, "s3", WHEN).headers["Authorization"].endswith(f"Signature={signature}")


def test_keys_come_from_the_first_source_that_has_some(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[team]\naws_access_key_id = A\naws_secret_access_key = S\naws_session_token = T\n")

    async def test() -> None:
        sources: list[KeySource] = [EnvironmentKeys({}), ProfileKeys(ProfileCredentials(str(file), "team", "eu-west-1"), {})]
        signed = await AwsSigning("s3", sources, lambda: WHEN).authorize(Request("GET", URL(HOST)))
        assert "Credential=A/20130524/eu-west-1/s3/aws4_request" in signed.headers["Authorization"]
        assert signed.headers["x-amz-security-token"] == "T"
        environment = {"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "S", "AWS_REGION": "r"}
        signed = await AwsSigning("s3", [EnvironmentKeys(environment), *sources]).authorize(Request("GET", URL(HOST)))
        assert "Credential=E/" in signed.headers["Authorization"]

    run(test())


def test_without_keys_every_source_says_why(tmp_path: Path) -> None:
    async def test() -> None:
        profile = ProfileKeys(ProfileCredentials(str(tmp_path / "none"), "", "r"), {})
        with pytest.raises(ServiceError, match=r"no AWS_ACCESS_KEY_ID set in environment; .*none: no such file or directory"):
            await AwsSigning("s3", [EnvironmentKeys({}), profile]).authorize(Request("GET", URL(HOST)))

    run(test())
