import io
import tarfile

import pytest

from local_cloud.sagemaker.errors import JobFailedError
from local_cloud.sagemaker.storage import pack, unpack


def archive(path, *members):
    """Writes an archive of (name, type, link target)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            if kind == tarfile.REGTYPE:
                member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    return path


def test_what_was_packed_is_unpacked(tmp_path):
    """Files, folders and the right to execute come out as they went in."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep" / "empty").mkdir(parents=True)
    (source / "deep" / "run").write_text("#!/bin/sh")
    (source / "deep" / "run").chmod(0o755)
    (source / "leaf").write_bytes(b"green")
    target.mkdir()
    pack(source, tmp_path / "model.tar.gz")
    unpack(tmp_path / "model.tar.gz", target)

    names = sorted(str(path.relative_to(target)) for path in target.rglob("*"))
    assert names == ["deep", "deep/empty", "deep/run", "leaf"]
    assert (target / "deep" / "run").stat().st_mode & 0o777 == 0o755
    assert (target / "leaf").read_bytes() == b"green"


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("../out", tarfile.REGTYPE, ""),
        ("/out", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc"),
        ("hard", tarfile.LNKTYPE, "leaf"),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_archives_that_lead_out_are_refused(tmp_path, name, kind, target):
    """A member that is a link or a device, or lies outside the directory, fails the deployment and is named."""
    directory = tmp_path / "model"
    directory.mkdir()
    path = archive(tmp_path / "model.tar.gz", ("leaf", tarfile.REGTYPE, ""), (name, kind, target))
    with pytest.raises(JobFailedError, match=f"Failed to extract model data archive for container: '{name}'"):
        unpack(path, directory)

    assert not (tmp_path / "out").exists()


def test_a_broken_archive_is_refused(tmp_path):
    """What is no .tar.gz fails the deployment with a reason."""
    (tmp_path / "model.tar.gz").write_bytes(b"no archive")
    with pytest.raises(JobFailedError, match="Failed to extract model data archive"):
        unpack(tmp_path / "model.tar.gz", tmp_path)
