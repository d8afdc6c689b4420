"""A folder de-identified into another: only UIDs become names, and nothing is overwritten."""

from __future__ import annotations

import errno
import os

import pytest

from scp import bulk_files
from scp.bulk_files import deidentify_files
from scp.config import parse_config
from tests.encoded import EXPLICIT
from tests.instances import ROOT, file, merged, small_ct, text

CONFIG = """
version: 1
profiles:
  kept: {Base: basic, Options: [retain-uids]}
routes: [{from: "*", profile: kept}]
"""
SOP_INSTANCE, STUDY, SERIES = 0x00080018, 0x0020000D, 0x0020000E


@pytest.fixture
def deidentified(tmp_path):
    """What becomes of files that hold these elements; their UIDs are kept."""
    profile = parse_config(CONFIG, "config.yaml", tmp_path).profiles["kept"]
    (tmp_path / "in").mkdir()

    def run(*datasets):
        sources = [tmp_path / "in" / f"{number}.dcm" for number, _ in enumerate(datasets)]
        for source, elements in zip(sources, datasets, strict=True):
            source.write_bytes(file(elements, EXPLICIT))
        return list(deidentify_files(sources, tmp_path / "out", profile, bytes(32), 1))

    return run


def ct(tag, uid, *, instance=1):
    """A CT image one of whose UIDs is this."""
    return merged(small_ct(instance=instance), [text(tag, "UI", uid)])


def files(folder):
    """Every file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "uid",
    ["../../escaped", "..", "{folder}/abs", "1.2\0DOE", "1" * 65],
    ids=["upwards", "parent", "absolute", "NUL", "too long"],
)
@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (STUDY, "Study Instance UID"),
        (SERIES, "Series Instance UID"),
        (SOP_INSTANCE, "SOP Instance UID"),
    ],
)
def test_what_is_no_uid_is_refused_and_the_next_file_is_not(
    deidentified, tmp_path, tag, name, uid
):
    """Nothing is written but below the target, and no text of the file is said."""
    refused, done = deidentified(ct(tag, uid.format(folder=tmp_path)), small_ct(instance=2))

    assert (refused.result, refused.refusal) == (None, f"its {name} is not a UID")
    assert done.result == tmp_path / "out" / f"{ROOT}.1" / f"{ROOT}.1.1" / f"{ROOT}.1.1.2.dcm"
    assert files(tmp_path) == [refused.source, done.source, done.result]


def test_an_instance_without_a_uid_is_refused(deidentified, tmp_path):
    """It would have no name."""
    [refused] = deidentified([one for one in small_ct() if one.tag != SOP_INSTANCE])

    assert (refused.result, bool(refused.refusal)) == (None, True)
    assert files(tmp_path) == [refused.source]


def test_an_absent_uid_has_a_folder_of_its_own(deidentified, tmp_path):
    """Whatever lacks study or series lies together."""
    elements = [one for one in small_ct() if one.tag not in (STUDY, SERIES)]

    [done] = deidentified(elements)

    assert done.result == tmp_path / "out" / "no-study" / "no-series" / f"{ROOT}.1.1.1.dcm"


def test_another_file_of_the_same_uid_is_refused(deidentified, tmp_path):
    """The first stays as it is."""
    [first] = deidentified(small_ct())
    content = first.result.read_bytes()

    same, other = deidentified(small_ct(), ct(0x00080060, "MR"))

    assert same.result == first.result
    assert (other.result, other.refusal) == (None, "another file has this SOP Instance UID")
    assert first.result.read_bytes() == content
    assert files(tmp_path / "out") == [first.result]


@pytest.mark.parametrize("code", [None, errno.EPERM, errno.EOPNOTSUPP])
def test_a_name_is_given_once_with_or_without_hard_links(tmp_path, monkeypatch, code):
    """File systems of memory sticks have none; there, too, the first result stays."""

    def link(*_):
        raise OSError(code, os.strerror(code))

    if code is not None:
        monkeypatch.setattr(os, "link", link)
    path = tmp_path / "1.2.dcm"
    drafts = [tmp_path / name for name in ("a", "b", "c")]
    for draft, content in zip(drafts, (b"first", b"first", b"first and more"), strict=True):
        draft.write_bytes(content)

    bulk_files._place(drafts[0], path)
    bulk_files._place(drafts[1], path)
    with pytest.raises(bulk_files._NoPlace, match="another file"):
        bulk_files._place(drafts[2], path)

    assert path.read_bytes() == b"first"
