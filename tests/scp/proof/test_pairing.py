"""A result is known by its key, its UID or its pixels, and never guessed at."""

from __future__ import annotations

from scp.proof.pairing import card, paired
from scp.proof.second_reader import read_again
from tests.scp.proof.verifying import NEW_ROOT, ROOT, original, result, save


def _cards(folder, *datasets):
    paths = [save(folder, one, f"{number}.dcm") for number, one in enumerate(datasets)]
    return [card(read_again(path)) for path in paths]


def _nothing(_uid: str) -> tuple[str, ...]:
    return ()


def test_the_key_tells_which_result_is_whose(tmp_path):
    """Though nothing else could."""
    first, second = original(1), original(1)
    second.SOPInstanceUID = f"{ROOT}.3.2"
    before = _cards(tmp_path / "originals", first, second)
    after = _cards(tmp_path / "results", result(second), result(first))

    assert paired(before, after, lambda uid: (uid.replace(ROOT, NEW_ROOT),)) == {0: 1, 1: 0}
    assert paired(before, after, _nothing) == {}


def test_pixels_tell_without_a_key(tmp_path):
    """As long as only one has them."""
    before = _cards(tmp_path / "originals", original(1), original(2))
    after = _cards(tmp_path / "results", result(original(2)), result(original(1)))

    assert paired(before, after, _nothing) == {0: 1, 1: 0}


def test_numbers_tell_where_pixels_were_blanked(tmp_path):
    """Class, instance number and geometry stay."""
    blanked = result(original(2))
    blanked.PixelData = bytes(512)
    before = _cards(tmp_path / "originals", original(1), original(2))

    assert paired(before, _cards(tmp_path / "results", blanked), _nothing) == {1: 0}


def test_copies_of_an_instance_share_its_result(tmp_path):
    """The second one has overwritten the first."""
    before = _cards(tmp_path / "originals", original(1), original(1))
    after = _cards(tmp_path / "results", result(original(1)))

    assert paired(before, after, _nothing) == {0: 0, 1: 0}
