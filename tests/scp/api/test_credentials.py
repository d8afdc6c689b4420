"""Names and hashes of passwords: what a file may hold, and who it lets in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scp.api.credentials import NAME, PasswordHash, Users, basic, handed_over, load_users
from scp.errors import KeyFileError

HASH = str(PasswordHash.of("secret"))


def written(folder, text, mode=0o600):
    """A file of users."""
    path = folder / "users"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_password_fits_its_hash_and_no_other():
    """Two hashes of one password differ by their salt."""
    one, other = PasswordHash.of("secret"), PasswordHash.of("secret")

    assert one.fits("secret")
    assert not one.fits("Secret")
    assert str(one) != str(other)


def test_a_hash_is_read_as_it_was_written():
    """And shows nothing of itself where it is only mentioned."""
    assert PasswordHash.parse(HASH).fits("secret")
    assert HASH.split("$")[5] not in repr(PasswordHash.parse(HASH))


def test_a_file_lets_in_whom_it_names(tmp_path):
    """Comments and empty lines aside."""
    users = load_users(written(tmp_path, f"# who may\n\nanna:{HASH}\n"))

    assert not users.recall("anna", "secret")
    assert users.admit("anna", "secret")
    assert users.recall("anna", "secret")
    assert not users.admit("bert", "secret")
    assert not users.admit("anna", "x" * 5000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nobody\n",
        "anna:secret\n",
        "anna\n",
        f"an na:{HASH}\n",
        "anna:scrypt$3$8$1$AAAA$" + "A" * 44,
        "anna:scrypt$1073741824$8$1$AAAA$" + "A" * 44,
        "anna:scrypt$16384$8$1$$" + "A" * 44,
        "anna:scrypt$16384$8$1$AAAA$AAAA",
        f"anna:{HASH}x*\n",
    ],
    ids=range(10),
)
def test_a_line_that_is_none_is_told_by_its_number(tmp_path, text):
    """Nothing of it is quoted, and nothing starts."""
    path = written(tmp_path, text)

    with pytest.raises(KeyFileError) as told:
        load_users(path)

    assert "secret" not in str(told.value)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    """Hashes can be guessed at."""
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_users(written(tmp_path, f"anna:{HASH}", 0o640))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """A node that would let everybody in does not start."""
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_users(tmp_path / "none")


def test_what_systemd_hands_over_is_found(tmp_path, monkeypatch):
    """By the name of the credential."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert handed_over() is None

    (tmp_path / NAME).write_text("")

    assert handed_over() == tmp_path / NAME


@given(st.text())
@settings(max_examples=30)
def test_a_header_of_any_kind_is_read_or_is_none(text):
    """A client may send what it likes."""
    assert basic(text) is None or text.lower().startswith("basic ")


def test_users_say_nothing_of_themselves():
    """Neither names nor hashes in a log that mentions them."""
    assert "anna" not in repr(Users({"anna": PasswordHash.parse(HASH)}))
