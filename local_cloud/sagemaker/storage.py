"""Moves files between S3 and a container's directories, with the credentials of the container's role."""

import functools
import shutil
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlparse

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from local_cloud import aws_models
from local_cloud.sagemaker.errors import JobFailedError

_ONE_THREAD = TransferConfig(use_threads=False)  # files are small and the store is on this machine
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"max_attempts": 3},
    s3={"addressing_style": "path"},
    max_pool_connections=50,
)
_making = threading.Lock()  # a session is not safe to create clients from several threads
_thread = threading.local()  # its `credentials` are of the role that it acts as


class _RoleOfThread(Credentials):
    def __init__(self) -> None:
        super().__init__("of", "the thread")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        frozen: ReadOnlyCredentials = _thread.credentials
        return frozen


@functools.lru_cache(maxsize=16)
def shared_client(service: str, endpoint_url: str, region: str) -> BaseClient:
    """A client of a service of the local cloud for all roles: to make one takes longer than most of what one does."""
    made = aws_models.session()
    made.register_component("credential_provider", SimpleNamespace(load_credentials=_RoleOfThread))
    session: Any = boto3.session.Session(botocore_session=made)  # Any: its types know services by literal names only
    with _making:
        shared: BaseClient = session.client(service, endpoint_url=endpoint_url, region_name=region, config=_CONFIG)
        return shared


@contextmanager
def client(service: str, endpoint_url: str, region: str, credentials: Mapping[str, str]) -> Iterator[Any]:
    """A client of a service of the local cloud, with which this thread acts as a role, within the block."""
    before = getattr(_thread, "credentials", None)
    _thread.credentials = ReadOnlyCredentials(
        credentials["AWS_ACCESS_KEY_ID"], credentials["AWS_SECRET_ACCESS_KEY"], credentials.get("AWS_SESSION_TOKEN")
    )
    try:
        yield shared_client(service, endpoint_url, region)
    finally:
        _thread.credentials = before


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of `s3://bucket/key`."""
    parsed = urlparse(uri)
    return parsed.netloc, parsed.path.lstrip("/")


class RoleStorage:
    """S3 as one role sees it. Raises JobFailedError (`ClientError: …`, as FailureReason begins for users' mistakes)."""

    def __init__(self, endpoint_url: str, region: str, credentials: Mapping[str, str], role_arn: str) -> None:
        self._s3 = functools.partial(client, "s3", endpoint_url, region, credentials)
        self._region, self._role_arn = region, role_arn

    def objects(self, uri: str) -> list[str]:
        """Keys under a prefix, without the empty ones that stand for folders."""
        bucket, prefix = split_uri(uri)
        try:
            with self._s3() as s3:
                pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
            return [item["Key"] for page in pages for item in page.get("Contents", ()) if not item["Key"].endswith("/")]
        except (ClientError, BotoCoreError) as error:
            raise JobFailedError(
                f"ClientError: Failed to download data. ListObjectsV2 failed for {uri}: {error}"
            ) from error

    def no_objects(self, uri: str) -> str:
        """AWS's words for a prefix without objects."""
        bucket, _ = split_uri(uri)
        return (
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({self._region}), that objects exist under that S3 prefix, and that the "
            f'role "{self._role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )

    def download_prefix(self, uri: str, directory: Path) -> None:
        """Downloads all objects under a prefix; one whose key is the prefix itself keeps its file name."""
        bucket, prefix = split_uri(uri)
        keys = self.objects(uri)
        if not keys:
            raise JobFailedError(f"ClientError: Failed to download data. {self.no_objects(uri)}")
        for key in keys:
            target = directory / _relative_path(key, prefix)
            if not target.resolve().is_relative_to(directory.resolve()):
                raise JobFailedError(
                    f"ClientError: Failed to download data. s3://{bucket}/{key} leads out of its folder."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            self.download(f"s3://{bucket}/{key}", target)

    def download(self, uri: str, target: Path) -> None:
        """Downloads one object."""
        bucket, key = split_uri(uri)
        try:
            with self._s3() as s3:
                body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            with target.open("wb") as file:
                for chunk in body.iter_chunks(1 << 20):
                    file.write(chunk)
        except (ClientError, BotoCoreError, OSError) as error:
            raise JobFailedError(
                f"ClientError: Failed to download data. GetObject failed for {uri}: {error}"
            ) from error

    def exists(self, uri: str) -> bool:
        """Whether an object exists; raises ClientError of botocore when the role may not know."""
        bucket, key = split_uri(uri)
        try:
            with self._s3() as s3:
                s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def upload(self, source: Path, uri: str) -> None:
        """Uploads one file."""
        bucket, key = split_uri(uri)
        try:
            with self._s3() as s3:
                s3.upload_file(str(source), bucket, key, Config=_ONE_THREAD)
        except Exception as error:  # boto3 raises its own, botocore's and OSError here
            raise JobFailedError(f"ClientError: Failed to upload {source.name} to {uri}: {error}") from error

    def upload_tree(self, directory: Path, uri: str) -> None:
        """Uploads the files of a directory below a prefix. "Symlinks are not followed when uploading output data."."""
        for path in regular_files(directory):
            self.upload(path, f"{uri.rstrip('/')}/{path.relative_to(directory).as_posix()}")


def regular_files(directory: Path) -> Iterator[Path]:
    """Regular files under a directory in the order of their names; neither symbolic links nor what lies behind them."""
    for path in sorted(directory.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from regular_files(path)
        elif path.is_file():
            yield path


def pack(directory: Path, archive: Path) -> None:
    """Writes a directory's contents as .tar.gz; lightly compressed, for time matters more than space here."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted(directory.iterdir()):
            tar.add(path, arcname=path.name)


def unpack(archive: Path, directory: Path) -> None:
    """Unpacks a .tar.gz of files and folders; links, devices and what would leave the directory are refused."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                _unpack_member(tar, member, directory)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise JobFailedError(f"Failed to extract model data archive for container: {error}") from error


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    # not `extractall`: its filters came with Python 3.11.4, and Debian 12 has 3.11.2
    target = directory / member.name
    content = tar.extractfile(member) if member.isfile() else None
    if ".." in target.parts or not target.is_relative_to(directory) or (content is None and not member.isdir()):
        raise tarfile.TarError(f"{member.name!r} is no file or folder inside the archive's directory")
    if content is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _relative_path(key: str, prefix: str) -> str:
    if key == prefix:
        return key.rsplit("/", 1)[-1]
    rest = key[len(prefix) :]
    if prefix.endswith("/") or not prefix or rest.startswith("/"):
        return rest.lstrip("/")
    return key[prefix.rfind("/") + 1 :]  # the prefix ends in the middle of a name
