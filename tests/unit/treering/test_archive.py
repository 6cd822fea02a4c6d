"""A zip gives the wanted files and nothing else; one that is broken or hostile gives an error and no file elsewhere."""

import hashlib
import io
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from treering.errors import DownloadError
from treering.steps.archive import UnpackedFile, unpack

Zipped = Callable[..., bytes]
LIMIT = 2_000_000


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., Mapping[str, UnpackedFile]]:
    """Unpacks from these bytes into an empty folder."""

    def run(archive: bytes, *wanted: str, limit: int = LIMIT) -> Mapping[str, UnpackedFile]:
        (tmp_path / "download.zip").write_bytes(archive)
        return unpack(tmp_path / "download.zip", wanted or ("a.csv",), tmp_path / "out", limit)

    return run


def with_member(info: zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    """A zip with a good member and this one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "1")
        archive.writestr(info, content)
    return buffer.getvalue()


def test_only_wanted_files_are_unpacked(unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped) -> None:
    """Each with its size and hash; what is not in the archive is not in the answer."""
    found = unpacked(zipped({"a.csv": b"one", "b/c.txt": b"two", "huge.bin": b"3" * 10}), "a.csv", "b/c.txt", "d.csv")
    folder = found["a.csv"].path.parent

    assert sorted(found) == ["a.csv", "b/c.txt"]
    assert found["a.csv"].path.read_bytes() == b"one"
    assert (found["a.csv"].bytes, found["a.csv"].sha256) == (3, hashlib.sha256(b"one").hexdigest())
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == ["a.csv", "b/c.txt"]


def test_a_file_may_be_packed_once_more_by_itself(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped
) -> None:
    """`a.csv.zip` with `a.csv` in it is `a.csv`; the inner zip does not stay."""
    found = unpacked(zipped({"a.csv.zip": zipped({"a.csv": b"one"})}))

    assert found["a.csv"].path.read_bytes() == b"one"
    assert list(found["a.csv"].path.parent.iterdir()) == [found["a.csv"].path]


@pytest.mark.parametrize("inner", [{"b.csv": b"1"}, {"a.csv": b"1", "b.csv": b"2"}, {}])
def test_the_inner_zip_holds_its_file_alone(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped, inner: dict[str, bytes]
) -> None:
    """Anything else in it is an error."""
    with pytest.raises(DownloadError, match=r"a\.csv\.zip in the download should hold a\.csv and nothing else"):
        unpacked(zipped({"a.csv.zip": zipped(inner)}))


def test_zips_in_zips_are_not_followed_further(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped
) -> None:
    """An archive in the inner archive stays what it is: not the file that was wanted."""
    with pytest.raises(DownloadError, match="should hold"):
        unpacked(zipped({"a.csv.zip": zipped({"a.csv.zip": zipped({"a.csv": b"one"})})}))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../b", "x/../../b", "..", "C:/b", "C:b", "x\\..\\..\\b", "//host/share/b", "b\0c"]
)
def test_a_path_that_leads_out_is_refused(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], tmp_path: Path, name: str
) -> None:
    """Even though the member is not wanted: such an archive is not to be trusted."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    before = set(tmp_path.parent.rglob("*"))

    with pytest.raises(DownloadError, match="leads out of the folder"):
        unpacked(with_member(info))
    assert set(tmp_path.parent.rglob("*")) - before == {tmp_path / "download.zip"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(unpacked: Callable[..., Mapping[str, UnpackedFile]], kind: int) -> None:
    """A member is a file or a folder."""
    info = zipfile.ZipInfo("b.csv")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16

    with pytest.raises(DownloadError, match=r"'b\.csv' that is a link or device"):
        unpacked(with_member(info, b"/etc/passwd"))


def test_an_encrypted_member_is_refused(unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped) -> None:
    """Its flag says so in the directory."""
    archive = bytearray(zipped({"a.csv": b"one"}))
    archive[archive.index(b"PK\x01\x02") + 8] |= 1

    with pytest.raises(DownloadError, match=r"encrypted member 'a\.csv'"):
        unpacked(bytes(archive))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(unpacked: Callable[..., Mapping[str, UnpackedFile]]) -> None:
    """Which of them is meant would depend on who reads."""
    with pytest.raises(DownloadError, match=r"two members 'a\.csv'"):
        unpacked(with_member(zipfile.ZipInfo("a.csv")))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_than_deflate_are_refused(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped, method: int
) -> None:
    """They would be unpacked without a bound on memory."""
    with pytest.raises(DownloadError, match=r"only deflate is read"):
        unpacked(zipped({"a.csv": b"one"}, method))


def test_a_bomb_is_stopped_by_its_ratio(unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped) -> None:
    """A gigabyte of zeros in a megabyte, in memory that does not grow with it."""
    bomb = zipped({"a.csv": bytes(200_000_000)})
    tracemalloc.start()
    with pytest.raises(DownloadError, match="more than 200 times"):
        unpacked(bomb, limit=10**9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5_000_000


@pytest.mark.parametrize("packed_twice", [False, True])
def test_all_files_together_have_a_limit(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped, packed_twice: bool
) -> None:
    """Each file is below it, the sum is not; the message says what to raise."""
    content = bytes(range(256)) * 3000
    files = {f"{i}.csv": content for i in range(3)}
    archive = zipped({f"{n}.zip": zipped({n: c}) for n, c in files.items()} if packed_twice else files)

    with pytest.raises(DownloadError, match=r"more than 2,000,000 bytes unpacked\. .* maximum_megabytes"):
        unpacked(archive, *files)


def test_ten_gigabytes_are_refused_before_a_byte_is_unpacked(tmp_path: Path, zipped: Zipped) -> None:
    """The directory says how large the file is: a zip64 extra field (APPNOTE.TXT 4.5.3) of 10^10 bytes."""
    plain = zipped({"a.csv": b"one" * 1000})
    at = plain.index(b"PK\x01\x02")
    entry, end = bytearray(plain[at : plain.index(b"PK\x05\x06")]), bytearray(plain[plain.index(b"PK\x05\x06") :])
    extra = struct.pack("<HHQ", 1, 8, 10**10)
    struct.pack_into("<I", entry, 24, 0xFFFFFFFF)
    struct.pack_into("<H", entry, 30, len(extra))
    struct.pack_into("<I", end, 12, len(entry) + len(extra))
    (tmp_path / "a.zip").write_bytes(plain[:at] + entry + extra + end)

    with pytest.raises(DownloadError, match=r"more than 1,048,576,000 bytes unpacked\. .* ephemeral storage"):
        unpack(tmp_path / "a.zip", ["a.csv"], tmp_path / "raw", 1000 * 1024**2)
    assert sum(path.stat().st_size for path in (tmp_path / "raw").iterdir()) == 0


def test_a_directory_that_lies_about_sizes_is_noticed(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped
) -> None:
    """The member has more bytes than the directory says."""
    archive = bytearray(zipped({"a.csv": b"one" * 1000}))
    struct.pack_into("<I", archive, archive.index(b"PK\x01\x02") + 24, 10)

    with pytest.raises(DownloadError, match="no valid zip"):
        unpacked(bytes(archive))


def test_too_many_members_are_refused(unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped) -> None:
    """1001 of them."""
    with pytest.raises(DownloadError, match="has 1,001 members; 1,000 are allowed"):
        unpacked(zipped({f"{i}": b"" for i in range(1001)}))


def test_a_huge_directory_is_refused_unread(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped
) -> None:
    """A directory's memory would grow with what it claims, here 3 MB of names."""
    archive = zipped({f"{i:05}" + "n" * 250: b"" for i in range(10_000)})

    with pytest.raises(DownloadError, match=r"The directory of the downloaded zip claims 3,\d{3},\d{3} bytes"):
        unpacked(archive)


@pytest.mark.parametrize("damage", ["not a zip", "truncated", "flipped bit", "directory cut off", "empty"])
def test_a_broken_archive_is_named_as_such(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped, damage: str
) -> None:
    """Never an error of the zip library, never a wrong file."""
    good = zipped({"a.csv": bytes(range(256)) * 20, "b.csv": b"x" * 500})
    broken = {
        "not a zip": b"<html>hello</html>",
        "truncated": good[: len(good) // 2],
        "flipped bit": good[:60] + bytes([good[60] ^ 1]) + good[61:],
        "directory cut off": good[:-30],
        "empty": b"",
    }[damage]

    with pytest.raises(DownloadError, match=r"The downloaded download\.zip is no valid zip"):
        unpacked(broken)


def test_any_flipped_byte_is_an_error_or_harmless(
    unpacked: Callable[..., Mapping[str, UnpackedFile]], zipped: Zipped
) -> None:
    """Whichever byte is damaged: an error of ours, or the right content (names and times carry no content)."""
    content = b"id,rent\n1,2\n"
    good = zipped({"a.csv": content})
    for position in range(len(good)):
        broken = good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :]
        try:
            found = unpacked(broken)
        except DownloadError:
            continue

        assert all(file.path.read_bytes() == content for file in found.values()), position
