"""Many words are found at once: all of them, at any offset, in any case."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scp.proof.matching import LEAST_AMONG_PIXELS, Matcher

LETTERS = st.text("abA.1", min_size=3, max_size=6).map(str.encode)


@given(st.lists(LETTERS, min_size=1, max_size=6), st.lists(LETTERS, max_size=8))
def test_every_occurrence_of_every_word_is_found(words, parts):
    """Also one that overlaps another, or is inside it."""
    lowered = {word.lower() for word in words}
    data = b"".join(parts)
    found = {(hit.word, hit.offset) for hit in Matcher(lowered).in_text(data)}
    places = range(len(data))
    expected = {(w, at) for w in lowered for at in places if data.lower().startswith(w, at)}

    assert found == expected


def test_no_words_are_found_nowhere():
    """Nothing was removed: nothing can leak."""
    assert list(Matcher([]).in_text(b"anything")) == []


def test_among_pixels_only_long_words_of_printable_characters_count():
    """Short ones, and those of few characters, stand there by chance."""
    words = [b"smith", b"aaaaaaaaaaaa", b"quandryson"]
    data = b"\0\xffSmith\0aaaaaaaaaaaaaa\0\1QUANDRYSON\xfe"
    found = [(hit.word, hit.offset) for hit in Matcher(words).in_pixels(data)]

    assert found == [(b"quandryson", data.index(b"QUANDRYSON"))]
    assert len(b"quandryson") >= LEAST_AMONG_PIXELS
