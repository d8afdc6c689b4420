"""The REST API of the installed command, asked by curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tests.acceptance.running import ANONODE, RunningNode, anonode

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0"}
rest:
  listen: "127.0.0.1:0"
  profile: keep-all
  credentials: users
  tls_certificate: rest.crt
  tls_key: rest.key
routes: [{from: "*", profile: basic}]
"""


@pytest.fixture
def certified(tmp_path, peer):
    """A folder with a certificate, its key, and a user."""
    command = [
        *(peer("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext"),
        *("subjectAltName=IP:127.0.0.1", "-out", tmp_path / "rest.crt"),
        *("-keyout", tmp_path / "rest.key"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    hashing = subprocess.run(
        [ANONODE, "hash-password", "anna"],
        input="secret\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "secret" not in hashing.stdout
    (tmp_path / "users").write_text(hashing.stdout)
    (tmp_path / "users").chmod(0o600)
    return tmp_path


@pytest.mark.slow
def test_a_study_is_anonymized_over_tls_by_who_may(certified):
    """As Orthanc's page says, line by line."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with RunningNode(certified, CONFIG) as node:
        base = f"https://127.0.0.1:{node.rest_port}"

        def curl(*arguments: str, user: str = "anna:secret") -> str:
            command = ["curl", "-sS", "--cacert", certified / "rest.crt", "-u", user, *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        code = ["-o", "/dev/null", "-w", "%{http_code}"]
        assert curl(f"{base}/system", *code, user="anna:wrong") == "401"
        ct = Path(str(get_testdata_file("CT_small.dcm", download=False)))
        study = json.loads(curl(f"{base}/instances", "--data-binary", f"@{ct}"))["ParentStudy"]
        made = json.loads(curl(f"{base}/studies/{study}/anonymize", "-d", "{}"))
        assert json.loads(curl(f"{base}/studies")) == [study, made["ID"]]
        assert json.loads(curl(f"{base}{made['Path']}"))["AnonymizedFrom"] == study
        assert node.terminate() == 0


def test_a_rest_api_that_is_open_to_all_does_not_start(tmp_path):
    """Exit status 78, which systemd does not try again."""
    (tmp_path / "config.yaml").write_text(
        "version: 1\nrest:\n  listen: 0.0.0.0:0\nroutes: [{from: '*', profile: basic}]"
    )

    refused = anonode("run", "--config", tmp_path / "config.yaml")

    assert refused.returncode == 78
    assert "config.yaml:3:11: listen is open to other machines" in refused.stderr
