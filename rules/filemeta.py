"""File meta information of our own: nothing of the received one survives.

Source: PS3.10 7.1; PS3.7 D.3.3.2 for the implementation's identification.
"""

from __future__ import annotations

from rules.elements import element, padded

IMPLEMENTATION_CLASS_UID = "2.25.64847108070193756787364530130440750809"
IMPLEMENTATION_VERSION_NAME = "ANONODE_0_1"
_START = bytes(128) + b"DICM"
_VERSION = element(0x00020001, "OB", b"\0\1", implicit=False)


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and group 0002 of a file.

    Args:
        sop_class_uid: Of the instance.
        sop_instance_uid: Of the result, not of what was received.
        transfer_syntax_uid: Of the dataset that follows.
    """
    group = _VERSION + b"".join(
        element(tag, vr, padded(vr, text.encode()), implicit=False)
        for tag, vr, text in (
            (0x00020002, "UI", sop_class_uid),
            (0x00020003, "UI", sop_instance_uid),
            (0x00020010, "UI", transfer_syntax_uid),
            (0x00020012, "UI", IMPLEMENTATION_CLASS_UID),
            (0x00020013, "SH", IMPLEMENTATION_VERSION_NAME),
        )
    )
    length = element(0x00020000, "UL", len(group).to_bytes(4, "little"), implicit=False)
    return _START + length + group
