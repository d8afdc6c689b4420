"""The configuration: what the file becomes, and which route an association takes."""

from __future__ import annotations

import hashlib
import json
import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import DocumentError
from rules.language.schema import READY_MADE
from rules.profile import BASES, CapAge, Hash, Pseudonym, ShiftDate
from scp.config import embedded_default, load_config, parse_config
from scp.routes import Certificate, Route, RouteMiss
from scp.settings import (
    SYSTEMD,
    ClientTls,
    Config,
    Destination,
    NodeConfig,
    RestConfig,
    ServerTls,
)

SHIPPED = Path(__file__).parents[2] / "config.yaml"
PACS = "pacs: {ae_title: PACS, host: 127.0.0.1, port: 104}"


def config(text: str) -> Config:
    """Read a file that stands in /srv."""
    return parse_config(text, "f", Path("/srv"))


def routed(*routes: str) -> Config:
    """A file of these routes and a profile named research."""
    lines = "".join(f"  - {route}\n" for route in routes)
    return config(f"version: 1\nprofiles: {{research: {{}}}}\nroutes:\n{lines}")


def node(*lines: str) -> NodeConfig:
    """The node that these settings make."""
    written = "".join(f"  {line}\n" for line in lines)
    return config(f'version: 1\nnode:\n{written}routes: [{{from: "*", profile: basic}}]').node


def destination(line: str) -> Destination:
    """The destination that a map makes."""
    text = f'version: 1\ndestinations:\n  pacs: {line}\nroutes: [{{from: "*", profile: basic}}]'
    return config(text).destinations["pacs"]


def rest(*lines: str) -> RestConfig | None:
    """The REST API that these settings make."""
    written = "".join(f"  {line}\n" for line in lines)
    section = f"rest:\n{written}" if lines else "rest: {}\n"
    return config(f'version: 1\n{section}routes: [{{from: "*", profile: basic}}]').rest


def problems_of(read, *arguments: str) -> list[str]:
    """What reading them says."""
    with pytest.raises(DocumentError) as refused:
        read(*arguments)
    return [str(problem) for problem in refused.value.problems]


def test_the_example_that_ships_has_no_mistake():
    """The first thing that anybody runs."""
    shipped = load_config(SHIPPED)

    assert shipped.node.ae_title == "ANONODE"
    assert (shipped.node.host, shipped.node.port) == ("127.0.0.1", 11112)
    assert shipped.node.data == SHIPPED.parent / "data"
    assert not any(shipped.profiles[route.profile].passes_identity for route in shipped.routes)
    assert shipped.route_for("CT1", "ANONODE", "127.0.0.1") == shipped.routes[0]
    assert shipped.route_for("MRT-2", "ANONODE", "127.0.0.1") == shipped.routes[0]
    assert shipped.digest == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()


def test_every_setting_the_example_names_in_a_comment_can_be_set():
    """A line that is commented in must work."""
    text = SHIPPED.read_text("utf-8")
    commented_in = re.sub(r"(?m)^( {2,4})# ([a-z_]+: )", r"\1\2", text)

    assert commented_in != text
    assert parse_config(commented_in, "config.yaml", Path())


def test_without_a_file_this_machine_may_send_and_nobody_else():
    """The basic profile, kept in the folder that was named."""
    embedded = embedded_default(Path("here/data"))
    route = embedded.route_for("ANY", "ANY", "127.0.0.1")

    assert embedded.node.data == Path("here/data")
    assert isinstance(route, Route)
    assert (route.profile, route.store, route.forward) == ("basic", True, ())
    assert embedded.route_for("ANY", "ANY", "::1") == route
    assert embedded.route_for("ANY", "ANY", "10.0.0.1") == RouteMiss("address")


def test_what_is_not_said_has_a_default():
    """The shortest file is a version and a route."""
    short = routed("{from: CT1, profile: basic}")

    assert short.node == NodeConfig(
        ae_title="ANONODE",
        host="127.0.0.1",
        port=11112,
        data=Path("/srv/data"),
        sop_classes=frozenset(),
        associations=64,
        associations_per_address=8,
        idle_s=60.0,
        drain_s=30.0,
        message_bytes=4 << 30,
        header_bytes=64 << 20,
        in_flight_bytes=512 << 20,
    )
    assert short.routes == (Route(("CT1",), None, (), "basic", store=True, forward=()),)


def test_what_is_said_is_read():
    """Every key of the node."""
    said = node(
        "ae_title: NODE 1",
        'listen: "[::1]:0"',
        "data: /var/lib/anonode",
        "sop_classes: [1.2.840.113619.4.26, 1.2.3]",
        "max_associations: 5",
        "max_associations_per_address: 2",
        "idle_s: 1.5",
        "drain_s: 0",
        "message_limit_bytes: 1048576",
        "header_limit_bytes: 2097152",
        "in_flight_limit_bytes: 2097152",
    )

    assert said == NodeConfig(
        ae_title="NODE 1",
        host="::1",
        port=0,
        data=Path("/var/lib/anonode"),
        sop_classes=frozenset({"1.2.840.113619.4.26", "1.2.3"}),
        associations=5,
        associations_per_address=2,
        idle_s=1.5,
        drain_s=0.0,
        message_bytes=1 << 20,
        header_bytes=2 << 20,
        in_flight_bytes=2 << 20,
    )


def test_the_marks_of_the_disk_are_read():
    """Both of bytes and both of inodes; without a word they suit a large disk."""
    said = node(
        "disk_low_bytes: 4194304",
        "disk_high_bytes: 8388608",
        "disk_low_inodes: 0",
        "disk_high_inodes: 10",
    )
    marks = (said.disk_low_bytes, said.disk_high_bytes)
    assert marks == (4 << 20, 8 << 20)
    assert (said.disk_low_inodes, said.disk_high_inodes) == (0, 10)

    unsaid = routed("{from: CT1, profile: basic}").node
    assert unsaid.disk_low_bytes < unsaid.disk_high_bytes
    assert unsaid.disk_low_inodes < unsaid.disk_high_inodes


@pytest.mark.parametrize("line", ["disk_low_bytes: 1099511627776", "disk_high_inodes: 999"])
def test_a_low_mark_above_the_high_one_is_a_mistake(line):
    """The node would never take anything in again."""
    with pytest.raises(DocumentError) as caught:
        node(line)

    assert "is more than disk_high_" in str(caught.value)


def test_a_destination_is_read():
    """What it is called, where it is, and how often it is tried."""
    assert destination("{ae_title: PACS, host: pacs.example, port: 104}") == Destination(
        name="pacs",
        ae_title="PACS",
        host="pacs.example",
        port=104,
        calling_ae_title="ANONODE",
        response_s=120.0,
        retry_base_s=5.0,
        retry_cap_s=900.0,
        lifetime_days=30.0,
    )
    assert destination(
        "{ae_title: P, host: '::1', port: 1, calling_ae_title: ME, response_s: 1.5,"
        " retry_base_s: 1, retry_cap_s: 2, retry_lifetime_days: 0.5}"
    ) == Destination("pacs", "P", "::1", 1, "ME", 1.5, 1.0, 2.0, 0.5)


def test_a_route_is_read():
    """One text or a list, wherever several are possible."""
    read = config(
        f"version: 1\ndestinations:\n  {PACS}\nroutes:\n"
        "  - from: [CT1, 'MR*']\n    to: ANONODE\n    peer: [10.0.0.0/8, '::1']\n"
        "    profile: basic\n    store: false\n    forward: pacs\n"
        "  - {from: US1, peer: 10.1.1.1, profile: none, forward: [pacs]}\n"
    )

    assert read.routes == (
        Route(
            ("CT1", "MR*"),
            "ANONODE",
            (ip_network("10.0.0.0/8"), ip_network("::1")),
            "basic",
            store=False,
            forward=("pacs",),
        ),
        Route(("US1",), None, (ip_network("10.1.1.1"),), "none", store=True, forward=("pacs",)),
    )
    assert read.profiles["none"].passes_identity


def test_ready_made_profiles_stand_beside_those_of_the_file():
    """A route, `preview` and `deidentify` may name them."""
    assert set(routed("{from: CT1, profile: research}").profiles) == {"research", *READY_MADE}


def test_a_profile_of_the_file_wins_over_a_ready_made_one_of_its_name():
    """A name that ships later must not change what a file means."""
    read = config(
        "version: 1\nprofiles: {teaching: {Base: nothing}}\n"
        "routes: [{from: CT1, profile: teaching}]"
    )

    assert read.profiles["teaching"].base == "nothing"


@pytest.mark.parametrize("name", BASES)
def test_the_names_of_the_bases_are_taken(name):
    """What says basic is basic."""
    (found,) = problems_of(
        config, f"version: 1\nprofiles: {{{name}: {{}}}}\nroutes: [{{from: A, profile: {name}}}]"
    )

    assert found == f"f:2:12: the profile {name} is ready-made: choose another name"


def test_the_example_that_ships_shows_what_a_profile_can_say():
    """Options, functions, private attributes and pixels, each with a word about it."""
    shipped = load_config(SHIPPED).profiles["project-a"]

    assert shipped.options
    assert shipped.private == "safe"
    assert shipped.descriptors.allow
    assert len(shipped.pixels) == 2
    assert {type(rule.value) for rule in shipped.replace} > {Hash, ShiftDate, CapAge, Pseudonym}


def test_what_nobody_uses_is_no_mistake():
    """A destination may be prepared before a route sends to it."""
    assert config(
        f"version: 1\nprofiles: {{unused: {{}}}}\ndestinations:\n  {PACS}\n"
        "routes: [{from: CT1, profile: basic}]"
    )


TWO = (
    "{from: [CT1, 'MR*'], to: ANONODE, peer: [10.0.0.0/8, '::1'], profile: research}",
    "{from: 'MR?', profile: basic}",
)


@pytest.mark.parametrize(
    ("calling", "called", "address", "expected"),
    [
        ("CT1", "ANONODE", "10.1.2.3", 0),
        ("CT1  ", "ANONODE  ", "10.1.2.3", 0),
        ("MR1", "ANONODE", "::1", 0),
        ("MR1", "ANONODE", "::ffff:10.1.2.3", 0),
        ("MR1", "OTHER", "10.1.2.3", 1),
        ("MR1", "ANONODE", "192.168.0.1", 1),
        ("MR1", "ANONODE", "no address", 1),
        ("CT2", "ANONODE", "10.1.2.3", "calling"),
        ("ct1", "ANONODE", "10.1.2.3", "calling"),
        ("", "ANONODE", "10.1.2.3", "calling"),
        ("XMR1", "ANONODE", "10.1.2.3", "calling"),
        ("CT1", "OTHER", "10.1.2.3", "called"),
        ("MR12", "OTHER", "10.1.2.3", "called"),
        ("CT1", "ANONODE", "11.1.2.3", "address"),
        ("CT1", "ANONODE", "fe80::1%eth0", "address"),
        ("CT1", "ANONODE", "", "address"),
    ],
)
def test_the_first_route_that_fits_is_taken(calling, called, address, expected):
    """What fits none is told apart, for the peer is told which title was wrong."""
    read = routed(*TWO)
    found = read.route_for(calling, called, address)

    assert found == (read.routes[expected] if isinstance(expected, int) else RouteMiss(expected))


def test_brackets_of_a_title_are_no_wildcards():
    """An association from `CT[1]` gets no more than its own name."""
    route = routed("{from: CT1, profile: basic}").routes[0]

    assert not route.takes("CT[1]")
    assert not route.takes("*")


@pytest.mark.parametrize(
    "routes",
    [
        ("{from: 'CT*', profile: basic}", "{from: CT1, profile: basic}"),
        ("{from: 'CT*', profile: basic}", "{from: [CT1, CT2], to: X, peer: '::1', profile: none}"),
        ("{from: '*', profile: basic}", "{from: 'M?*', profile: basic}"),
        ("{from: 'M*', profile: basic}", "{from: 'M?', profile: basic}"),
        ("{from: '**', profile: basic}", "{from: '*', profile: basic}"),
        (
            "{from: CT1, peer: [10.0.0.0/8, 'fd00::/8'], profile: basic}",
            "{from: CT1, peer: [10.1.0.0/16, 'fd00::1'], profile: basic}",
        ),
    ],
)
def test_a_route_behind_one_that_takes_everything_is_a_mistake(routes):
    """It looks like a rule and never is one."""
    (found,) = problems_of(routed, *routes)

    assert found.startswith("f:5:5: never reached: the route on line 4 takes all")


@pytest.mark.parametrize(
    ("routes", "lines"),
    [
        (("{from: CT1, profile: basic}", "{from: CT2, profile: basic}"), "4 and 5"),
        (
            (
                "{from: [CT1, US1], peer: 10.0.0.0/8, profile: basic}",
                "{from: MR1, profile: basic}",
                "{from: CT1, profile: basic}",
                "{from: CT2, profile: basic}",
            ),
            "4, 6 and 7",
        ),
        (
            (
                "{from: CT1, peer: 10.0.0.0/8, profile: basic}",
                "{from: CT1, peer: 11.0.0.0/8, profile: basic}",
                "{from: CT2, profile: basic}",
            ),
            "4, 5 and 6",
        ),
    ],
)
def test_a_route_behind_several_that_take_everything_together_is_a_mistake(routes, lines):
    """Title by title, and address by address."""
    last = "{from: [CT1, CT2], peer: [10.1.0.0/16, 11.1.1.1], profile: none}"
    (found,) = problems_of(routed, *routes, last)

    said = f"f:{len(routes) + 4}:5: never reached: the routes on lines {lines} take all"
    assert found.startswith(said)


@pytest.mark.parametrize(
    "routes",
    [
        ("{from: CT1, profile: basic}", "{from: 'CT*', profile: basic}"),
        ("{from: 'CT?', profile: basic}", "{from: 'CT*', profile: basic}"),
        ("{from: 'CT*', to: A, profile: basic}", "{from: CT1, to: B, profile: basic}"),
        ("{from: 'CT*', to: A, profile: basic}", "{from: CT1, profile: basic}"),
        ("{from: CT1, peer: 10.0.0.0/8, profile: basic}", "{from: CT1, profile: basic}"),
        (
            "{from: CT1, peer: 10.0.0.0/8, profile: basic}",
            "{from: CT1, peer: [10.0.0.1, '::1'], profile: basic}",
        ),
        ("{from: 'A*', profile: basic}", "{from: [A1, B1], profile: basic}"),
    ],
)
def test_a_route_that_can_still_be_taken_is_none(routes):
    """Narrow before wide is how routes are written."""
    assert len(routed(*routes).routes) == 2


def test_of_several_that_take_some_of_a_route_none_makes_it_a_mistake():
    """One title from one address is left."""
    read = routed(
        "{from: CT1, peer: 10.0.0.0/8, profile: basic}",
        "{from: CT2, profile: basic}",
        "{from: [CT1, CT2], peer: [10.0.0.1, 11.0.0.1], profile: none}",
    )

    assert read.route_for("CT1", "ANY", "11.0.0.1") == read.routes[2]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("'::ffff:10.0.0.1'", "10.0.0.1/32"),
        ("'::ffff:10.1.0.0/112'", "10.1.0.0/16"),
        ("'::ffff:0:0/96'", "0.0.0.0/0"),
        ("'::/0'", "::/0"),
        ("'::10.0.0.1'", "::a00:1/128"),
    ],
)
def test_a_network_is_read_as_addresses_are(written, read):
    """IPv4 is IPv4, also where IPv6 carries it."""
    route = routed(f"{{from: CT1, peer: {written}, profile: basic}}").routes[0]

    assert route.peers == (ip_network(read),)


def test_a_route_by_an_address_that_ipv6_carries_is_taken():
    """However the socket shows the peer."""
    read = routed("{from: CT1, peer: '::ffff:10.0.0.1', profile: basic}")

    assert read.route_for("CT1", "ANY", "10.0.0.1") == read.routes[0]
    assert read.route_for("CT1", "ANY", "::ffff:10.0.0.1") == read.routes[0]
    assert read.route_for("CT1", "ANY", "10.0.0.2") == RouteMiss("address")


@pytest.mark.parametrize("title", ["ANON*", "'ANON?'", "'*'"])
def test_the_called_title_is_one_title(title):
    """It would be compared as it stands, and no association would fit."""
    (found,) = problems_of(routed, f"{{from: CT1, to: {title}, profile: basic}}")

    assert "to is one AE title, without wildcards" in found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("listen: ':11112'", "listen is an IP address or a host name"),
        ("listen: '[10.0.0.1]:11112'", "listen has brackets"),
        ("listen: 10.0.0.1:65536", "listen is HOST:PORT"),
        ("listen: 10.0.0.256:1", "listen is an IP address or a host name"),
        ("ae_title: ''", "ae_title is 1 to 16"),
        ("ae_title: ' A'", "ae_title is 1 to 16"),
        ("ae_title: A\\B", "ae_title is 1 to 16"),
        ("ae_title: AN\u00d6N", "ae_title is 1 to 16"),
        ("data: ''", "data is the path of a folder"),
        ('data: "a\\0b"', "data is the path of a folder"),
        ("idle_s: -1", "idle_s is a number from 1 to 86400"),
        ("idle_s: 1e3", "idle_s is a number from 1 to 86400"),
        ("idle_s: \uff11", "idle_s is a number from 1 to 86400"),
        ("max_associations: 1.0", "max_associations is a whole number"),
        ("max_associations: " + "9" * 5000, "max_associations is a whole number"),
        ("in_flight_limit_bytes: 1048576", "is less than header_limit_bytes"),
        ("header_limit_bytes: 536870913", "in_flight_limit_bytes is less than"),
        ("header_limit_bytes: 1", "header_limit_bytes is a whole number from 1048576"),
        ("sop_classes: [a]", "sop_classes is a list of SOP Class UIDs"),
        ("sop_classes: [1.2, [1.3]]", "sop_classes is a list of SOP Class UIDs"),
        ("sop_classes: ['1']", "sop_classes is a list of SOP Class UIDs"),
        ("sop_classes: 1.2", "sop_classes is a list"),
    ],
)
def test_a_setting_of_the_node_says_what_it_may_be(line, said):
    """With its name, at its place."""
    (found,) = problems_of(node, line)

    assert re.match(r"f:3:\d+: ", found)
    assert said in found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "pacs is empty; it is a map"),
        ("{}", "ae_title and host and port are missing in pacs"),
        ("{ae_title: P, host: a, prt: 1}", '"prt" is no key here; did you mean port?'),
        ("{ae_title: P, host: -a, port: 1}", "host is an IP address or a host name"),
        ("{ae_title: P, host: a..b, port: 1}", "host is an IP address or a host name"),
        ("{ae_title: P, host: 10.0.1, port: 1}", "host is an IP address or a host name"),
        ("{ae_title: P, host: '', port: 1}", "host is an IP address or a host name"),
        ("{ae_title: P, host: a, port: 0}", "port is a TCP port, 1 to 65535"),
        ("{ae_title: P, host: a, port: }", "port is empty; it is a text"),
        ("{ae_title: P, host: a, port: [1]}", "port is a text"),
        ("{ae_title: P, host: a, port: 1, retry_base_s: 1000}", "retry_base_s is longer than"),
        ("{ae_title: P, host: a, port: 1, calling_ae_title: ''}", "calling_ae_title is 1 to 16"),
    ],
)
def test_a_destination_says_what_is_wrong_with_it(line, said):
    """One line for one mistake."""
    (found,) = problems_of(destination, line)

    assert said in found


@pytest.mark.parametrize("listen", ["listen: 0.0.0.0:104", "listen: localhost:104"])
def test_a_node_is_no_destination_of_its_own(listen):
    """It would take in what it forwards, again and again."""
    text = (
        f"version: 1\nnode: {{{listen}}}\ndestinations:\n"
        "  self: {ae_title: A, host: 127.0.0.1, port: 104}\n"
        "routes: [{from: '*', profile: basic}]"
    )
    (found,) = problems_of(config, text)

    assert re.match(r"f:4:\d+: host and port are this node's own", found)


def test_all_of_a_faulty_destination_is_told():
    """A missing key does not hide a faulty one."""
    found = problems_of(destination, "{ae_title: A_TITLE_THAT_IS_TOO_LONG, host: '[', prt: 5}")

    assert [line.split(":")[2] for line in found] == ["20", "52", "57"]


def test_a_file_that_cannot_be_read_is_a_problem_of_line_one(tmp_path):
    """Missing, a folder, or not UTF-8."""
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")

    for path in (tmp_path / "missing.yaml", tmp_path, binary):
        (found,) = problems_of(load_config, path)
        assert found.startswith(f"{path}:1:1: the file ")


def test_paths_start_at_the_file(tmp_path):
    """So that a service and a person in another folder mean the same data."""
    path = tmp_path / "config.yaml"
    path.write_text('version: 1\nroutes: [{from: "*", profile: basic}]')

    assert load_config(path).node.data == tmp_path / "data"
    assert load_config(path).file == str(path)


KEYS = st.sampled_from(
    [
        *("version", "node", "profiles", "destinations", "routes", "listen", "ae_title", "from"),
        *("to", "peer", "profile", "store", "forward", "host", "port", "basic", "Keep", "Base"),
    ]
)
VALUES = st.recursive(
    st.none() | KEYS | st.sampled_from(["1", "*", "10.0.0.0/8", "true", "PatientID"]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES)
def test_any_file_is_a_configuration_or_a_document_error(value):
    """Whatever a person may type, `check` answers with lines and not with a traceback."""
    try:
        outcome = parse_config(json.dumps(value), "f", Path()).routes
    except DocumentError as refused:
        outcome = refused.problems

    assert outcome


def test_without_a_section_there_is_no_rest_api():
    """Neither in a file that does not speak of it, nor in the embedded default."""
    assert routed("{from: CT1, profile: basic}").rest is None
    assert embedded_default(Path("here/data")).rest is None
    assert rest("listen: off") is None


def test_an_empty_section_is_a_rest_api_for_this_machine_alone():
    """Port 8042, no credentials, and uploads through the basic profile."""
    assert rest() == RestConfig(
        host="127.0.0.1",
        port=8042,
        profile="basic",
        hosts=frozenset(),
        credentials=None,
        tls_certificate=None,
        tls_key=None,
        upload_limit_bytes=4 << 30,
        body_limit_bytes=32 << 20,
        connections=64,
    )
    assert config('version: 1\nrest:\nroutes: [{from: "*", profile: basic}]').rest == rest()


def test_what_is_said_of_the_rest_api_is_read():
    """Every key of it; files are relative to the configuration."""
    assert rest(
        "listen: 0.0.0.0:443",
        "profile: keep-all",
        "hosts: [Anonode.Example]",
        "credentials: rest-users",
        "tls_certificate: /etc/ssl/rest.crt",
        "tls_key: rest.key",
        "upload_limit_bytes: 1048576",
        "body_limit_bytes: 1024",
        "max_connections: 1",
    ) == RestConfig(
        host="0.0.0.0",  # noqa: S104 - what is read, not bound
        port=443,
        profile="keep-all",
        hosts=frozenset({"anonode.example"}),
        credentials=Path("/srv/rest-users"),
        tls_certificate=Path("/etc/ssl/rest.crt"),
        tls_key=Path("/srv/rest.key"),
        upload_limit_bytes=1 << 20,
        body_limit_bytes=1024,
        connections=1,
    )


TLS = "tls_certificate: a, tls_key: b"


@pytest.mark.parametrize("address", ["0.0.0.0:80", "'[::]:80'", "10.0.0.1:80", "pacs.example:80"])
@pytest.mark.parametrize("given", [TLS, "credentials: c", "hosts: []"])
def test_a_rest_api_for_other_machines_takes_credentials_and_tls(address, given):
    """The one archive in the world that is open to everybody is not this one."""
    text = (
        f"version: 1\nrest:\n  {{{given},\n  listen: {address}}}\n"
        'routes: [{from: "*", profile: basic}]'
    )

    (said,) = problems_of(config, text)

    assert said.startswith("f:4:")
    assert "credentials, tls_certificate and tls_key" in said


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.1.2.3:80", "'[::1]:80'", "localhost:80"])
def test_a_rest_api_for_this_machine_takes_neither(address):
    """Whoever is on the machine is let in."""
    assert rest(f"listen: {address}") is not None


def test_the_credentials_of_systemd_are_named_by_a_word():
    """So that a check outside the unit says the same."""
    guarded = rest(
        "listen: 0.0.0.0:80", f"credentials: {SYSTEMD}", "tls_certificate: a", "tls_key: b"
    )

    assert guarded.credentials == SYSTEMD


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("profile: basics", 'there is no profile "basics"; did you mean basic?'),
        ("tls_key: a", "tls_certificate and tls_key belong together"),
        ("listen: 8042", "listen is HOST:PORT"),
        ("hosts: [a b]", "hosts is an IP address or a host name"),
        ("max_connections: 0", "max_connections is a whole number from 1 to 1000"),
        ("tls_key: ''", "tls_key is the path of a file"),
        ("lisen: off", '"lisen" is no key here'),
    ],
)
def test_a_mistake_in_the_rest_api_is_told_at_its_line(line, said):
    """And nothing starts."""
    text = f"version: 1\nrest:\n  {line}\nroutes: [{{from: '*', profile: basic}}]"

    found = problems_of(config, text)

    assert any(one.startswith("f:3:") and said in one for one in found), found


@pytest.mark.parametrize(
    ("plain", "tls", "http", "said"),
    [
        ("0.0.0.0:104", "0.0.0.0:104", "127.0.0.1:0", "node.tls_listen and node.listen"),
        ("'[::]:104'", "10.0.0.1:104", "127.0.0.1:0", "node.tls_listen and node.listen"),
        ("10.0.0.1:104", "0.0.0.0:104", "127.0.0.1:0", "node.tls_listen and node.listen"),
        ("PACS:104", "pacs:104", "127.0.0.1:0", "node.tls_listen and node.listen"),
        ("0.0.0.0:104", "0.0.0.0:105", "127.0.0.1:104", "rest.listen and node.listen"),
        ("0.0.0.0:104", "'[::]:105'", "127.0.0.1:105", "rest.listen and node.tls_listen"),
    ],
)
def test_nothing_is_listened_on_twice(plain, tls, http, said):
    """The second could not be bound, and the node would not start."""
    (found,) = problems_of(config, listening(plain, tls, http))

    assert f"{said} are the same address" in found


def listening(plain: str, tls: str, http: str) -> str:
    """A node that listens on these three."""
    return (
        f"version: 1\nnode: {{{TLS}, listen: {plain}, tls_listen: {tls}}}\n"
        f"rest: {{listen: {http}}}\nroutes: [{{from: '*', profile: basic}}]"
    )


@pytest.mark.parametrize(
    ("plain", "tls", "http"),
    [
        ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:104", "10.0.0.1:104", "127.0.0.2:104"),
        ("0.0.0.0:104", "'[::1]:104'", "127.0.0.1:8042"),
    ],
)
def test_addresses_that_are_apart_may_share_a_port(plain, tls, http):
    """Of other interfaces, or any free one."""
    assert config(listening(plain, tls, http)).rest is not None


PROVEN = "tls_certificate: node.crt", "tls_key: /etc/node.key"
FINGERPRINT = "ab" * 32


def test_tls_is_read():
    """Beside the plain port, on the registered one unless another is named."""
    assert node("max_connections_per_s_per_address: 5").tls is None
    said = node("listen: 0.0.0.0:104", *PROVEN)
    assert said.tls == ServerTls(Path("/srv/node.crt"), Path("/etc/node.key"), None)
    assert said.tls_listen == (said.host, 2762)

    said = node("tls_listen: '[::1]:0'", *PROVEN, "tls_client_ca: senders.pem")
    assert said.tls is not None
    assert said.tls.client_ca == Path("/srv/senders.pem")
    assert said.tls_listen == ("::1", 0)
    assert node("tls_listen: '::1'", *PROVEN).tls_listen == ("::1", 2762)
    assert node("max_connections_per_s_per_address: 5").connections_per_s == 5.0


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("tls_certificate: a",), "TLS takes tls_certificate and tls_key"),
        (("tls_listen: 0.0.0.0",), "TLS takes tls_certificate and tls_key"),
        (("tls_client_ca: a",), "TLS takes tls_certificate and tls_key"),
        ((*PROVEN, "tls_listen: a:b:c"), "tls_listen is HOST:PORT"),
        ((*PROVEN, "tls_client_ca: ''"), "tls_client_ca is the path of a file"),
        (("max_connections_per_s_per_address: 0",), "max_connections_per_s_per_address is a num"),
    ],
)
def test_half_of_tls_is_a_mistake(lines, said):
    """Nobody listens in the clear because a line was forgotten."""
    (found,) = problems_of(node, *lines)

    assert said in found


def test_a_destination_over_tls_is_read():
    """By the system's authorities and its own host name, unless others are named."""
    plain = "ae_title: P, host: pacs.example, port: 2762"
    assert destination(f"{{{plain}, tls: false}}").tls is None
    assert destination(f"{{{plain}, tls: true}}").tls == ClientTls(None, None, None, "")
    said = destination(
        f"{{{plain}, tls: true, tls_ca: ca.pem, tls_certificate: n.crt, tls_key: n.key,"
        " tls_server_name: archive.example}"
    )
    assert said.tls == ClientTls(
        Path("/srv/ca.pem"), Path("/srv/n.crt"), Path("/srv/n.key"), "archive.example"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tls_ca: a", "tls_ca takes tls: true beside it"),
        ("tls: false, tls_server_name: a", "tls_server_name takes tls: true beside it"),
        ("tls: true, tls_key: a", "tls_certificate and tls_key belong together"),
        ("tls: true, tls_server_name: a b", "tls_server_name is an IP address or a host name"),
        ("tls: maybe", "tls "),
    ],
)
def test_a_destination_half_over_tls_is_a_mistake(line, said):
    """A destination that was meant to be secure is not called in the clear."""
    (found,) = problems_of(destination, f"{{ae_title: P, host: h, port: 1, {line}}}")

    assert said in found


def with_certificates(*certificates: str) -> Config:
    """A node that asks for certificates, and a route for each of these."""
    lines = "".join(
        f"  - {{from: CT{number}, certificate: {one}, profile: basic}}\n"
        for number, one in enumerate(certificates, start=1)
    )
    return config(
        "version: 1\nnode: {tls_certificate: a, tls_key: b, tls_client_ca: c}\n"
        f"routes:\n{lines}  - {{from: CT2, profile: none}}\n"
    )


@pytest.mark.parametrize(
    "written", [FINGERPRINT, "SHA256:" + FINGERPRINT.upper(), ":".join(["AB"] * 32)]
)
def test_a_certificate_is_known_by_its_fingerprint(written):
    """However the tool writes it that showed it."""
    read = with_certificates(f"'{written}'")

    assert read.routes[0].certificates == (FINGERPRINT,)


@pytest.mark.parametrize(
    ("calling", "certificate", "expected"),
    [
        ("CT1", Certificate(FINGERPRINT, frozenset()), 0),
        ("CT1", Certificate("cd" * 32, frozenset({"ct2.example"})), "certificate"),
        ("CT1", Certificate("cd" * 32, frozenset({FINGERPRINT})), "certificate"),
        ("CT1", None, "certificate"),
        ("CT2", Certificate("cd" * 32, frozenset({"ct2.example"})), 1),
        ("CT2", Certificate("cd" * 32, frozenset({"xct2.example"})), 2),
        ("CT2", None, 2),
    ],
)
def test_a_route_is_for_its_certificates_only(calling, certificate, expected):
    """A name that looks like a fingerprint is none."""
    read = with_certificates(FINGERPRINT, "[CT2.example, 10.0.0.1]")
    found = read.route_for(calling, "ANONODE", "127.0.0.1", certificate)

    assert found == (read.routes[expected] if isinstance(expected, int) else RouteMiss(expected))


def test_certificates_that_nobody_asks_for_are_a_mistake():
    """The route would never be taken."""
    (found,) = problems_of(routed, "{from: CT1, certificate: ct1.example, profile: basic}")

    assert "certificate takes tls_client_ca under node" in found


@pytest.mark.parametrize(
    "written",
    [
        *("'*.example'", "sha256:abcd", "''", '"a\\n"', "CN=ct1.example", "'cn = ct1'"),
        *("/CN=ct1", "'subject=O=Hospital, CN=ct1'"),
    ],
)
def test_what_is_no_name_of_a_certificate_is_a_mistake(written):
    """Wildcards of certificates are for servers."""
    (found,) = problems_of(with_certificates, written)

    assert "certificate is" in found


def test_a_route_of_fewer_certificates_behind_one_of_more_is_never_reached():
    """And one of others is."""
    head = "version: 1\nnode: {tls_certificate: a, tls_key: b, tls_client_ca: c}\nroutes:\n"
    wide = "  - {from: CT1, certificate: [a, b], profile: basic}\n"
    assert problems_of(config, head + wide + "  - {from: CT1, certificate: a, profile: none}\n")
    assert config(head + wide + "  - {from: CT1, certificate: [a, c], profile: none}\n")
    assert config(head + wide + "  - {from: CT1, profile: none}\n")
