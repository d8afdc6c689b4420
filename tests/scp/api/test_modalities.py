"""Destinations as modalities: what they are, echo, store."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification

from scp.archive.identifiers import identifier
from scp.archive.job import JobState
from tests.encoded import DEFLATED, EXPLICIT
from tests.instances import ROOT, file
from tests.scp.api.archiving import archive, patient

CONFIG = """\
version: 1
destinations:
  pacs: {{ae_title: PACS, host: 127.0.0.1, port: {port}, calling_ae_title: US}}
  nobody: {{ae_title: NOBODY, host: 127.0.0.1, port: 1}}
routes:
  - {{from: "*", profile: basic}}
rest: {{listen: "127.0.0.1:0", profile: keep-all}}
"""
FIXED = ["Host", "Port", "LocalAet", "CalledAet", "MoveOriginatorAet"]


class Receiver:
    """A peer of pynetdicom that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []
        self.titles: set[tuple[str, str]] = set()
        self.status = 0x0000
        entity = AE("PACS")
        entity.add_supported_context(Verification)
        entity.add_supported_context(CTImageStorage, [EXPLICIT])
        handlers = [(evt.EVT_C_STORE, self.store), (evt.EVT_REQUESTED, self.note)]
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]

    def note(self, event) -> None:
        primitive = event.assoc.requestor.primitive
        self.titles.add((primitive.calling_ae_title, primitive.called_ae_title))

    def store(self, event) -> int:
        dataset = event.dataset
        syntax = event.context.transfer_syntax
        self.got.append((dataset.SOPInstanceUID, str(dataset.PatientName), syntax))
        return self.status


@pytest.fixture(scope="module")
def receiver():
    """A peer that takes CT images in one transfer syntax."""
    peer = Receiver()
    yield peer
    peer.server.shutdown()


@pytest.fixture(scope="module")
def node(tmp_path_factory, receiver):
    """A node with two destinations; nobody listens at the second."""
    folder = tmp_path_factory.mktemp("node")
    with archive(folder, CONFIG.format(port=receiver.port)) as running:
        yield running


@contextmanager
def answering(receiver: Receiver, status: int):
    """The peer answers this."""
    receiver.status = status
    try:
        yield
    finally:
        receiver.status = 0x0000


def file_of(node, id_):
    """Where an instance is stored."""
    [stored] = node.services.catalogue.instances([id_])
    [path] = [one for one in node.files() if one.name == stored.file_name.split("/")[-1]]
    return path


def damage(path) -> None:
    """Flip a bit in the middle of a stored file."""
    with path.open("r+b") as stored:
        stored.seek(path.stat().st_size // 2)
        [byte] = stored.read(1)
        stored.seek(-1, 1)
        stored.write(bytes([byte ^ 1]))


def test_the_destinations_are_listed(node, receiver):
    """By name, or with what they are."""
    assert node.ask("GET", "/modalities") == ["nobody", "pacs"]

    expanded = node.ask("GET", "/modalities?expand")
    assert sorted(expanded) == ["nobody", "pacs"]
    assert expanded["pacs"] == node.ask("GET", "/modalities/pacs/configuration")
    assert (expanded["pacs"]["AET"], expanded["pacs"]["Port"]) == ("PACS", receiver.port)
    assert (expanded["pacs"]["Host"], expanded["pacs"]["LocalAet"]) == ("127.0.0.1", "US")


def test_a_destination_says_what_can_be_asked_of_it(node):
    """Three things."""
    assert node.ask("GET", "/modalities/pacs") == ["configuration", "echo", "store"]
    assert node.client.ask("GET", "/modalities/else").status == 404


def test_an_echo_reaches_the_destination(node):
    """The answer is an empty object."""
    assert node.ask("POST", "/modalities/pacs/echo", {}) == {}


def test_an_echo_that_nobody_answers_is_an_error(node):
    """Of the network."""
    fault = node.fault("POST", "/modalities/nobody/echo", {})

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (500, 9)


@pytest.mark.parametrize("operation", ["echo", "store"])
def test_an_unknown_name_is_no_destination(node, operation):
    """404 with a body that names it."""
    fault = node.fault("POST", f"/modalities/else/{operation}", {"Resources": []})

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (404, 7)
    assert fault["Details"] == "No modality with symbolic name: else"


def test_a_study_is_sent_as_it_is_stored(node, receiver):
    """Every instance of it, in its own transfer syntax, under the titles of the configuration."""
    for instance in (1, 2, 3):
        node.upload(patient(1, instance=instance))
    study = identifier("PAT-1", f"{ROOT}.1.1")
    answer = node.ask("POST", "/modalities/pacs/store", {"Resources": [study]})

    assert answer == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 3,
        "LocalAet": "US",
        "ParentResources": [study],
        "RemoteAet": "PACS",
    }
    sent = sorted(one for one in receiver.got if one[1] == "Doe^Jane1")
    assert sent == [(f"{ROOT}.1.1.1.{n}", "Doe^Jane1", EXPLICIT) for n in (1, 2, 3)]
    assert receiver.titles == {("US", "PACS")}


@pytest.mark.parametrize("form", ["{id}", '"{id}"', '["{id}"]', '{{"Resources": ["{id}"]}}'])
def test_resources_can_be_named_in_four_ways(node, form):
    """A bare identifier among them."""
    id_ = node.upload(patient(2))
    answer = node.ask("POST", "/modalities/pacs/store", form.format(id=id_))

    assert (answer["InstancesCount"], answer["ParentResources"]) == (1, [id_])


def test_nothing_to_send_is_no_mistake(node):
    """And takes no association."""
    answer = node.ask("POST", "/modalities/nobody/store", [])

    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (0, 0)
    assert "ParentResources" not in answer


def test_what_the_destination_refuses_is_an_error(node, receiver):
    """With its status, or counted if the request is permissive."""
    id_ = node.upload(patient(3))
    with answering(receiver, 0xC000):
        fault = node.fault("POST", "/modalities/pacs/store", [id_])
        answer = node.ask(
            "POST", "/modalities/pacs/store", {"Resources": [id_], "Permissive": True}
        )

    assert (fault["OrthancStatus"], "0xc000" in fault["Details"]) == (9, True)
    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (1, 1)


def test_what_the_destination_does_not_take_is_counted(node):
    """Others of the same request are sent."""
    deflated = node.upload(file(patient(4), DEFLATED))
    usual = node.upload(patient(4, instance=2))
    body = {"Resources": [deflated, usual], "Permissive": True}
    answer = node.ask("POST", "/modalities/pacs/store", body)

    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (2, 1)


def test_nobody_at_the_other_end_is_an_error(node):
    """Or all of them have failed, if the request is permissive."""
    id_ = node.upload(patient(5))
    body = {"Resources": [id_], "Permissive": True}

    assert node.fault("POST", "/modalities/nobody/store", [id_])["OrthancStatus"] == 9
    assert node.ask("POST", "/modalities/nobody/store", body)["FailedInstancesCount"] == 1


def test_an_unknown_resource_is_404(node):
    """Nothing is sent."""
    assert node.fault("POST", "/modalities/pacs/store", ["nope"])["HttpStatus"] == 404


@pytest.mark.parametrize("field", FIXED)
def test_no_request_says_where_to(node, field):
    """A host, a port or a title in a body is refused, not passed over."""
    fault = node.fault("POST", "/modalities/pacs/store", {"Resources": [], field: "else"})

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (400, 8)
    assert fault["Details"].startswith(field)


@pytest.mark.parametrize(
    "body",
    ["", "nope", "{}", '{"Resources": 5}', "[5]", "5", '{"Resources": [], "Permissive": 1}'],
)
def test_a_body_that_names_nothing_is_a_bad_file(node, body):
    """400, with Orthanc's number."""
    fault = node.fault("POST", "/modalities/pacs/store", body)

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (400, 15)


def test_a_damaged_instance_does_not_hold_up_others(node, receiver):
    """Those behind it go over another association, if failures are passed over."""
    ids = [node.upload(patient(6, instance=number)) for number in (1, 2, 3)]
    damage(file_of(node, ids[1]))
    body = {"Resources": ids, "Permissive": True}
    answer = node.ask("POST", "/modalities/pacs/store", body)

    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (3, 1)
    assert len([one for one in receiver.got if one[1] == "Doe^Jane6"]) == 2


def test_a_store_in_the_background_is_a_job(node, receiver):
    """Its address is told at once, and its content is what a client that waits would get."""
    id_ = node.upload(patient(7))
    told = node.ask(
        "POST", "/modalities/pacs/store", {"Resources": [id_], "Asynchronous": True, "UserData": 5}
    )
    node.services.jobs.wait(told["ID"], 20)
    job = node.ask("GET", told["Path"])

    assert (job["Type"], job["State"], job["Progress"]) == ("DicomModalityStore", "Success", 100)
    assert job["UserData"] == 5
    assert job["Content"] == node.ask("POST", "/modalities/pacs/store", [id_])
    assert [one[1] for one in receiver.got].count("Doe^Jane7") == 2


def test_a_store_in_the_background_fails_as_a_job_and_can_be_repeated(node, receiver):
    """The number is that of the network, and the reason stands in the details."""
    id_ = node.upload(patient(8))
    with answering(receiver, 0xC000):
        told = node.ask(
            "POST", "/modalities/pacs/store", {"Resources": [id_], "Synchronous": False}
        )
        node.services.jobs.wait(told["ID"], 20)
        failed = node.ask("GET", told["Path"])
    node.ask("POST", told["Path"] + "/resubmit", {})
    repeated = node.services.jobs.wait(told["ID"], 20)

    assert (failed["State"], failed["ErrorCode"]) == ("Failure", 9)
    assert "0xc000" in failed["ErrorDetails"]
    assert repeated.state is JobState.SUCCESS


def test_storage_commitment_is_not_pretended(node):
    """A request for it is refused."""
    body = {"Resources": [], "StorageCommitment": True}

    assert node.fault("POST", "/modalities/pacs/store", body)["HttpStatus"] == 400
