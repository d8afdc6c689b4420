"""What an instance holds, in Orthanc's forms."""

from __future__ import annotations

import pytest

from tests.encoded import DEFLATED, EXPLICIT, IMPLICIT, El
from tests.instances import ROOT, SYNTAXES, encapsulated, file, number, text
from tests.scp.api.archiving import archive, patient

UTF_8 = text(0x00080005, "CS", "ISO_IR 192")
REFERENCED = f"{ROOT}.1.1.2"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """An archive whose uploads keep everything."""
    with archive(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture(scope="module")
def ct(node):
    """An instance with texts beyond ASCII, numbers, items, private elements and a long text."""
    extra = [
        UTF_8,
        text(0x00081030, "LO", "Schädel ✓"),
        El(0x00180020, "CS", b"SE\\IR "),
        text(0x00104000, "LT", "x" * 300),
        El(0x00189306, "FD", b"333333\xf3?"),
        El(0x00280009, "AT", b"\x18\x00\x63\x10"),
        number(0x00280106, "SS", -5),
    ]
    return node.upload(patient(1, extra=extra))


def test_tags_have_name_type_and_value(node, ct):
    """By tag in lower case; what is of no value is null."""
    tags = node.ask("GET", f"/instances/{ct}/tags")

    assert tags["0010,0010"] == {"Name": "PatientName", "Type": "String", "Value": "Doe^Jane1"}
    assert tags["0020,000d"]["Value"] == f"{ROOT}.1.1"
    assert tags["7fe0,0010"] == {"Name": "PixelData", "Type": "Null", "Value": None}
    assert list(tags) == sorted(tags)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("0008,1030", "Schädel ✓"),
        ("0018,0020", "SE\\IR"),
        ("0018,0050", "5.0"),
        ("0018,9306", "1.2"),
        ("0028,0009", "0018,1063"),
        ("0028,0010", "8"),
        ("0028,0106", "-5"),
    ],
)
def test_values_are_texts(node, ct, tag, value):
    """Decoded, unpadded, numbers too, several with a backslash between them."""
    assert node.ask("GET", f"/instances/{ct}/tags")[tag]["Value"] == value


def test_items_are_lists(node, ct):
    """Each item in the same form, in all three."""
    tags = node.ask("GET", f"/instances/{ct}/tags")["0008,1140"]
    assert tags["Type"] == "Sequence"
    assert tags["Value"][0]["0008,1155"]["Value"] == REFERENCED

    short = node.ask("GET", f"/instances/{ct}/tags?short")
    assert short["0008,1140"][0]["0008,1155"] == REFERENCED

    simple = node.ask("GET", f"/instances/{ct}/simplified-tags")
    assert simple["ReferencedImageSequence"][0]["ReferencedSOPInstanceUID"] == REFERENCED


def test_simplified_tags_are_tags_simplified(node, ct):
    """Two addresses, one answer."""
    assert node.ask("GET", f"/instances/{ct}/simplified-tags") == node.ask(
        "GET", f"/instances/{ct}/tags?simplify"
    )


def test_a_long_text_is_given_when_asked_for(node, ct):
    """Else it is too long, and null."""
    tags = node.ask("GET", f"/instances/{ct}/tags")["0010,4000"]
    assert (tags["Type"], tags["Value"]) == ("TooLong", None)

    whole = node.ask("GET", f"/instances/{ct}/tags?ignore-length=PatientComments")["0010,4000"]
    assert (whole["Type"], whole["Value"]) == ("String", "x" * 300)


def test_a_misspelt_tag_is_a_fault_with_the_nearest(node, ct):
    """400, not 500."""
    fault = node.fault("GET", f"/instances/{ct}/tags?ignore-length=PatientComment")

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (400, 27)
    assert fault["Details"].endswith("did you mean PatientComments?")


def test_private_elements_name_their_creator(node, ct):
    """And are listed by tag where there are only names, so that none hides another."""
    private = node.ask("GET", f"/instances/{ct}/tags")
    assert private["0009,0010"]["Name"] == "PrivateCreator"
    assert private["0009,1001"]["PrivateCreator"] == "MAKER HEADER"
    assert private["0009,1001"]["Name"] == "Unknown Tag & Data"

    simple = node.ask("GET", f"/instances/{ct}/simplified-tags")
    assert simple["0009,1001"] == "secret of the maker"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_transfer_syntax_is_read(node, syntax):
    """The same tags whatever the encoding."""
    index = 100 + SYNTAXES.index(syntax)
    id_ = node.upload(patient(index), syntax)
    tags = node.ask("GET", f"/instances/{id_}/tags?short")

    assert (tags["0010,0010"], tags["0028,0010"]) == (f"Doe^Jane{index}", "8")
    assert tags["0008,1140"][0]["0008,1155"] == REFERENCED
    assert "7fe0,0010" in tags


def test_looking_changes_nothing(node, ct):
    """The file is the same before and after."""
    before = node.client.ask("GET", f"/instances/{ct}/file").body
    node.ask("GET", f"/instances/{ct}/tags")

    assert node.client.ask("GET", f"/instances/{ct}/file").body == before


def test_the_header_is_the_file_meta_information(node, ct):
    """In the same three forms."""
    header = node.ask("GET", f"/instances/{ct}/header")
    assert header["0002,0010"]["Value"] == EXPLICIT

    simple = node.ask("GET", f"/instances/{ct}/header?simplify")
    assert simple["TransferSyntaxUID"] == EXPLICIT


def test_content_lists_and_gives_values(node, ct):
    """A path leads through items to the bytes of a value."""
    base = f"/instances/{ct}/content"

    assert "0010-0010" in node.ask("GET", base)
    assert "7fe0-0010" in node.ask("GET", base)
    assert node.ask("GET", f"{base}/0008-1140") == ["0"]
    assert node.ask("GET", f"{base}/0008-1140/0") == ["0008-1150", "0008-1155"]
    value = node.client.ask("GET", f"{base}/0008-1140/0/0008-1155")
    assert value.headers["content-type"] == "application/octet-stream"
    assert value.body.rstrip(b"\0") == REFERENCED.encode()
    assert node.client.ask("GET", f"{base}/PatientID").body.strip() == b"PAT-1"


@pytest.mark.parametrize(
    "path",
    [
        *("9999-0010", "nonsense", "0010-0010/0", "0008-1140/1", "0008-1140/-1", "0008-1140/x"),
        *("0008-1140/0/0010-0010", "7fe0-0010/0", "0008-1140/0/0008-1155/0", "..%2f..%2fetc"),
    ],
)
def test_a_path_to_nothing_is_404(node, ct, path):
    """Without a body."""
    answer = node.client.ask("GET", f"/instances/{ct}/content/{path}")

    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
def test_native_pixels_are_one_value(node, syntax):
    """The bytes of Pixel Data."""
    id_ = node.upload(patient(len(syntax) + 200), syntax)

    pixels = node.client.ask("GET", f"/instances/{id_}/content/7fe0-0010").body
    assert pixels == b"\x01\x00" * 64


def test_encapsulated_pixels_are_fragments(node):
    """Listed by number, and each is given; the offset table is the first."""
    stored = patient(130, extra=[encapsulated()[-1]])
    id_ = node.upload(file(stored, "1.2.840.10008.1.2.4.50"))
    base = f"/instances/{id_}/content/7fe0-0010"

    assert node.ask("GET", base) == ["0", "1"]
    assert node.client.ask("GET", f"{base}/0").body == bytes(4)
    assert node.client.ask("GET", f"{base}/1").body.startswith(b"\xff\xd8")
