"""Files sent as they are: one that no association can carry fails alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scp.bulk_send import send_files
from scp.part10 import open_part10
from tests.encoded import EXPLICIT
from tests.instances import file, small_ct
from tests.scp.raw_peer import Desk, serving


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("sop_class_uid", "SOP Class UID"),
        ("sop_instance_uid", "SOP Instance UID"),
        ("transfer_syntax_uid", "Transfer Syntax UID"),
    ],
)
@pytest.mark.parametrize("uid", ["1.2.CLASS^DOE", "1" * 65], ids=["text", "too long"])
def test_what_is_no_uid_fails_alone(tmp_path, field, name, uid):
    """The others are sent, and the reason does not quote it."""
    path = tmp_path / "a.dcm"
    path.write_bytes(file(small_ct(), EXPLICIT))
    good = open_part10(path)
    desk = Desk()

    with serving(desk) as listener:
        files = [replace(good, **{field: uid}), good]
        sent = list(send_files(files, listener.address, calling_ae="CT1", called_ae="ANONODE"))

    assert [(one.file, one.failure) for one in sent] == [
        (files[0], f"its {name} is not a UID"),
        (good, ""),
    ]
    assert len(desk.received) == 1


def test_where_nothing_can_be_sent_nobody_is_called(tmp_path):
    """Each file has its outcome all the same."""
    path = tmp_path / "a.dcm"
    path.write_bytes(file(small_ct(), EXPLICIT))
    flawed = replace(open_part10(path), sop_class_uid="none")

    [sent] = send_files([flawed], ("name.invalid", 1), calling_ae="CT1", called_ae="ANONODE")

    assert not sent.ok
