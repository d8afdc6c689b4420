"""Stored instances made into new ones: by the rules, from undamaged bytes, or not at all."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread

from rules import DeidentificationError, InstanceRefused, compile_plan, parse_profile, ready_made
from scp.archive.modifier import Modifier, Treatment
from scp.errors import SpoolError
from scp.limits import Budget
from tests import instances
from tests.encoded import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from tests.scp.archive.archives import archive

BASIC = Treatment(compile_plan(ready_made("basic")), profile="(anonymized)", remote_ip="::7")


@pytest.fixture
def stored(tmp_path):
    """An archive with one CT."""
    with archive(tmp_path / "data") as made:
        made.store(instances.small_ct())
        yield made


def test_a_rewritten_instance_is_a_file_of_the_result(stored) -> None:
    """What is handed out is de-identified and whole, and nothing is stored."""
    [instance] = stored.instances()
    before = stored.files()

    file = b"".join(stored.modifier.rewrite(instance, BASIC))

    found = dcmread(BytesIO(file))
    assert found.PatientIdentityRemoved == "YES"
    assert b"Doe^Jane" not in file
    assert len(found.PixelData) == 128
    assert stored.files() == before


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN])
def test_a_draft_says_what_it_holds(tmp_path, transfer_syntax) -> None:
    """What the journal will say of a result is what the file says, in every transfer syntax."""
    with archive(tmp_path / "data") as made:
        made.store(instances.small_ct(), transfer_syntax)
        [instance] = made.instances()

        draft, new = made.modifier.draft(instance, BASIC)

        found = dcmread(tmp_path / "data" / "instances" / new.file.name)
        assert (found.SOPInstanceUID, found.PatientID) == (new.sop_instance_uid, new.patient_id)
        assert found.file_meta.TransferSyntaxUID == new.transfer_syntax_uid == transfer_syntax
        assert made.spool.intact(new.file)
        assert new.dataset_offset == 132 + 12 + found.file_meta.FileMetaInformationGroupLength
        assert (new.profile, new.origin, new.remote_ip) == ("(anonymized)", "RestApi", "::7")
        assert new.store
        draft.discard()


def test_a_discarded_draft_leaves_nothing(stored) -> None:
    """What nobody keeps is not on the disk."""
    [instance] = stored.instances()
    before = stored.files()

    draft, _ = stored.modifier.draft(instance, BASIC)
    during = stored.files()
    draft.discard()

    assert len(during) == 2
    assert stored.files() == before


def test_a_damaged_file_is_not_made_into_a_new_instance(stored) -> None:
    """One changed byte behind the header is found before anything is kept."""
    [instance] = stored.instances()
    path = stored.data / "instances" / instance.file_name
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)

    with pytest.raises(SpoolError, match="damaged"):
        stored.modifier.draft(instance, BASIC)

    assert stored.files() == {instance.file_name}


def test_a_file_that_is_gone_is_an_error(stored) -> None:
    """It is raised before the first byte is handed out."""
    [instance] = stored.instances()
    (stored.data / "instances" / instance.file_name).unlink()

    with pytest.raises(SpoolError):
        stored.modifier.rewrite(instance, BASIC)


def test_a_refused_instance_leaves_nothing(stored) -> None:
    """The rules' own refusals reach the caller before the first byte."""
    profile = parse_profile("Reject: [{Modality: CT}]", name="p", file="f")
    refusing = Treatment(compile_plan(profile))
    [instance] = stored.instances()
    before = stored.files()

    with pytest.raises(InstanceRefused):
        stored.modifier.rewrite(instance, refusing)
    with pytest.raises(InstanceRefused):
        stored.modifier.draft(instance, refusing)

    assert stored.files() == before


def test_a_transfer_syntax_that_nothing_encodes_is_refused(stored) -> None:
    """It is not stored in the old one instead."""
    [instance] = stored.instances()

    with pytest.raises(DeidentificationError):
        stored.modifier.draft(instance, Treatment(BASIC.plan, target="1.2.840.10008.1.2.4.57"))

    assert stored.files() == {instance.file_name}


def test_a_result_can_be_in_another_transfer_syntax(stored) -> None:
    """Native pixels need no help to be written in another native syntax."""
    [instance] = stored.instances()

    file = b"".join(stored.modifier.rewrite(instance, Treatment(BASIC.plan, target=IMPLICIT)))

    assert dcmread(BytesIO(file)).file_meta.TransferSyntaxUID == IMPLICIT


def test_what_is_held_is_given_back(stored) -> None:
    """The budget of the node is whole again after success, failure and a reader who leaves."""
    budget = Budget(1 << 26)
    modifier = Modifier(stored.spool, stored.pseudonyms, budget=budget)
    stored.store(instances.ct(1500, 1500, instance=2), BIG_ENDIAN)
    small, large = stored.instances()

    modifier.draft(large, BASIC)[0].discard()
    leaver = modifier.rewrite(large, BASIC)
    next(leaver)
    del leaver
    b"".join(modifier.rewrite(small, BASIC))

    assert budget.held_bytes == 0
