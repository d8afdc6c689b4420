"""The REST side of a node: who may enter, and how it begins and ends."""

from __future__ import annotations

import base64
import threading

import pytest

from scp.api.credentials import NAME, PasswordHash
from scp.archive.identifiers import identifier
from scp.config import parse_config
from scp.errors import KeyFileError
from scp.node import Node
from tests.instances import ROOT
from tests.scp.api.noding import CONFIG, api

STUDY = identifier("P", f"{ROOT}.1")
ANNA = "Basic " + base64.b64encode(b"anna:secret").decode()
WITH_USERS = CONFIG.replace("profile: keep-all}", "profile: keep-all, credentials: users}")


def users(path):
    """A file with one user."""
    path.write_text(f"anna:{PasswordHash.of('secret')}\n")
    path.chmod(0o600)


def test_the_users_of_the_file_may_enter_and_are_named_in_what_they_make(tmp_path):
    """Nobody else may."""
    users(tmp_path / "users")
    with api(tmp_path, WITH_USERS) as node:
        assert node.ask("GET", "/system").status == 401
        assert node.ask("GET", "/system", Authorization=ANNA).status == 200


def test_the_users_that_systemd_hands_over_are_never_passed_over(tmp_path, monkeypatch):
    """Even where the configuration does not speak of them."""
    users(tmp_path / NAME)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "key").write_text("00" * 32)
    with api(tmp_path) as node:
        assert node.ask("GET", "/system").status == 401


@pytest.mark.parametrize("named", ["users", "systemd"])
def test_a_node_whose_users_are_missing_does_not_start(tmp_path, monkeypatch, named):
    """And says what is."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    text = WITH_USERS.replace("credentials: users", f"credentials: {named}")

    with pytest.raises(KeyFileError, match=rf"users|{NAME}"):
        Node(parse_config(text, "config.yaml", tmp_path), bytes(32))


def test_a_node_without_a_section_answers_nowhere(tmp_path):
    """And needs nothing of the libraries."""
    text = "\n".join(line for line in CONFIG.splitlines() if not line.startswith("rest"))
    node = Node(parse_config(text, "config.yaml", tmp_path), bytes(32))
    node.start()

    assert node.rest_address is None
    assert node.stop()


def test_what_is_stored_and_made_is_there_after_the_next_start(tmp_path):
    """Resources, labels and jobs."""
    with api(tmp_path) as node:
        node.upload()
        made = node.post(f"/studies/{STUDY}/anonymize", {})
        node.ask("PUT", f"/studies/{STUDY}/labels/kept", b"")
        jobs = node.get("/jobs")

    with api(tmp_path) as again:
        assert again.get("/studies") == [STUDY, made["ID"]]
        assert again.get(f"/studies/{STUDY}")["Labels"] == ["kept"]
        assert again.get("/jobs") == jobs


def test_many_who_wait_for_jobs_do_not_keep_others_out(tmp_path):
    """Every request has a thread of its own."""
    with api(tmp_path) as node:
        node.upload()
        made = []
        waiting = [
            threading.Thread(
                target=lambda: made.append(node.post(f"/studies/{STUDY}/anonymize", {}))
            )
            for _ in range(40)
        ]
        for one in waiting:
            one.start()
        assert node.get("/system")["Name"] == "Anonode"
        for one in waiting:
            one.join(60)

        assert len({one["ID"] for one in made}) == 40
        assert len(node.get("/studies")) == 41
