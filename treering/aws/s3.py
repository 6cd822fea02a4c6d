"""The data bucket: whole objects, written once."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from treering import keys
from treering.aws.errors import code_of, is_denied, status_of, translated
from treering.aws.session import CLIENT_CONFIG, session
from treering.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGEST_PUT = 5 * 1024**3  # bytes in one PutObject (S3 user guide, "Uploading objects")
_ADVICE = "Check that the bucket exists, in this account and region."


class Bucket:
    """One S3 bucket. Needs `s3:PutObject` on what it writes, `s3:GetObject` on what it reads, and no `s3:ListBucket`.

    Objects go up in one PutObject, which is atomic: a reader sees all of an object or none. There is no multipart
    upload, so there are no transfer threads either.
    """

    def __init__(self, name: str, client: S3Client | None = None) -> None:
        self.name = name
        self._client: S3Client = client or session().client("s3", config=CLIENT_CONFIG)

    def find(self, key: str, *, denied_is_missing: bool = True) -> bytes | None:
        """Content of the object `key`, none where it does not exist.

        To a caller without `s3:ListBucket`, S3 answers 403 for a missing key (GetObject, API reference), so 403 counts
        as missing. A caller who then finds that `create` says the object exists should `read` it: that complains. Who
        has `s3:ListBucket` on the key's prefix says so with `denied_is_missing=False`.
        """
        with translated(f"read {self._uri(key)}", _ADVICE):
            try:
                return self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except ClientError as error:
                if code_of(error) == "NoSuchKey" or (denied_is_missing and is_denied(error)):
                    return None
                raise

    def read(self, key: str) -> bytes:
        """Content of the object `key`, which must be there. Raises ConfigurationError where it is not."""
        with translated(f"read {self._uri(key)}", "Check that the object is there."):
            return self._client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def download(self, key: str, path: Path) -> None:
        """Write the object `key` to the file `path`, as a stream. Raises ConfigurationError where there is none."""
        with translated(f"read {self._uri(key)}", "Check that the object is there."), path.open("wb") as file:
            for chunk in self._client.get_object(Bucket=self.name, Key=key)["Body"].iter_chunks(1024**2):
                file.write(chunk)

    def create(self, key: str, body: bytes) -> bool:
        """Write the object `key` unless it exists; says whether it was written. Never overwrites (`If-None-Match`)."""
        with translated(f"write {self._uri(key)}", _ADVICE):
            try:
                self._client.put_object(
                    Bucket=self.name, Key=key, Body=body, IfNoneMatch="*", ContentType="application/json"
                )
            except ClientError as error:
                return _existed(error)
        return True

    def create_from_file(self, key: str, path: Path, sha256: str) -> bool:
        """Like `create`, with a file's content, sent as a stream.

        `sha256` (hex) is of that content: S3 refuses the object if other bytes arrive.
        """
        size = path.stat().st_size
        if size > LARGEST_PUT:
            raise ConfigurationError(
                f"{path.name} has {size:,} bytes, more than the {LARGEST_PUT:,} that S3 takes in one piece; "
                f"{self._uri(key)} was not written. Lower maximum_megabytes of the use case."
            )
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with translated(f"write {self._uri(key)}", _ADVICE), path.open("rb") as file:
            try:
                self._client.put_object(Bucket=self.name, Key=key, Body=file, IfNoneMatch="*", ChecksumSHA256=checksum)
            except ClientError as error:
                return _existed(error)
        return True

    def replace(self, key: str, body: bytes) -> None:
        """Write the object `key`, whether or not it exists."""
        with translated(f"write {self._uri(key)}", _ADVICE):
            self._client.put_object(Bucket=self.name, Key=key, Body=body, ContentType="application/json")

    def _uri(self, key: str) -> str:
        return keys.uri(self.name, key)


def _existed(error: ClientError) -> bool:
    """False ("not written") where the object existed; any other error goes on."""
    if status_of(error) == 412:
        return False
    raise error
