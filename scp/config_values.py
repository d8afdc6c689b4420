"""Single values of config.yaml: each reader raises a ValueError that goes on behind its key.

Source: PS3.5 6.2 (VRs AE and UI); RFC 1123 2.1 (host names).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from rules import values
from scp.routes import is_fingerprint

if TYPE_CHECKING:
    from scp.routes import Network

_AE_CHARACTERS = 16
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HOST_CHARACTERS = 253
_PORTS = range(65536)
_TLS_PORT = 2762
"""Registered for DICOM over TLS as `dicom-tls` (PS3.15 B)."""
_NAME_CHARACTERS = 255
_SUBJECT = re.compile(r"/?(subject ?= ?)?(cn|ou|o|c|l|st|dc|emailaddress) ?=")
"""How tools print the subject of a certificate, in lower case."""
_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as IPv6 sockets show them (RFC 4291 2.5.5.2)."""


def ae_title(text: str) -> str:
    """An AE title, without blanks around it."""
    try:
        values.check("AE", text, "1")
    except ValueError:
        text = ""
    if not text or text != text.strip(" "):
        raise ValueError(
            f"is 1 to {_AE_CHARACTERS} ASCII characters, no backslash, no blanks around them"
        )
    return text


def title_glob(text: str) -> str:
    """An AE title in which `*` and `?` stand for characters."""
    if "[" in text or "]" in text:
        raise ValueError('has brackets: * and ? are the only wildcards; write ["CT1", "CT2"]')
    literal = text.replace("*", "")
    if text and not literal:
        return "*"
    try:
        ae_title(literal)
    except ValueError:
        raise ValueError(
            f"is an AE title of 1 to {_AE_CHARACTERS} ASCII characters, * and ? stand for others"
        ) from None
    return text


def called_title(text: str) -> str:
    """An AE title in which nothing stands for anything else."""
    if set(text) & set("*?"):
        raise ValueError("is one AE title, without wildcards: name it, or leave it out for any")
    return ae_title(text)


def listen(text: str) -> tuple[str, int]:
    """HOST:PORT, with brackets around an IPv6 address."""
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:]*)):([0-9]{1,5})", text)
    if not found or int(found[3]) not in _PORTS:
        raise ValueError("is HOST:PORT, such as 0.0.0.0:11112 or [::1]:11112, port up to 65535")
    if found[1] is not None and ":" not in found[1]:
        raise ValueError("has brackets, which are for IPv6 addresses such as [::1]:11112")
    return host(found[1] or found[2]), int(found[3])


def tls_listen(text: str) -> tuple[str, int]:
    """HOST:PORT, or a host alone for the registered port."""
    try:
        return listen(text)
    except ValueError:
        plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        try:
            return host(plain), _TLS_PORT
        except ValueError:
            raise ValueError(
                f"is HOST:PORT, such as 0.0.0.0:{_TLS_PORT} or [::1]:{_TLS_PORT}, or HOST alone"
            ) from None


def certificate(text: str) -> str:
    """The SHA-256 fingerprint of a certificate, or one of its names; in lower case."""
    plain = text.lower()
    digits = plain.removeprefix("sha256:").replace(":", "")
    if is_fingerprint(digits):
        return digits
    if not plain.isprintable() or not 1 <= len(plain) <= _NAME_CHARACTERS or "*" in plain:
        raise ValueError(
            "is a name of a certificate, without wildcards, or its SHA-256 fingerprint of 64"
            " hexadecimal digits"
        )
    if _SUBJECT.match(plain):
        raise ValueError("is a name alone: write ct1.example for CN=ct1.example")
    if plain.startswith("sha256:"):
        raise ValueError("is no SHA-256 fingerprint, which has 64 hexadecimal digits")
    return plain


def host(text: str) -> str:
    """An IP address or a name that could be resolved."""
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    labels = text.removesuffix(".").split(".")
    # A name whose last label is a number is an address with a mistake in it (RFC 1123 2.1).
    named = all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdecimal()
    if not named or len(text) > _HOST_CHARACTERS:
        raise ValueError("is an IP address or a host name")
    return text


def peer_port(text: str) -> int:
    """A TCP port that something can listen on."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) not in _PORTS[1:]:
        raise ValueError("is a TCP port, 1 to 65535")
    return int(text)


def network(text: str) -> Network:
    """An IP address or network; IPv4 where IPv6 carries it, as peers' addresses are read."""
    try:
        wider = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is an IP address or a network such as 10.1.0.0/16") from None
    if str(wider.network_address) != str(ip_address(text.partition("/")[0])):
        raise ValueError(f"has bits behind its prefix: write {wider}")
    if isinstance(wider, IPv6Network) and wider.subnet_of(_MAPPED):
        low = int(wider.network_address) & 0xFFFFFFFF
        return IPv4Network((low, wider.prefixlen - _MAPPED.prefixlen))
    return wider


def uid(text: str) -> str:
    """A UID."""
    try:
        values.check("UI", text, "1")
    except ValueError:
        text = ""
    if "." not in text:
        raise ValueError("is a list of SOP Class UIDs, such as 1.2.840.113619.4.26")
    return text


def folder_name(text: str) -> str:
    """The path of a folder."""
    if not text.strip() or "\0" in text:
        raise ValueError("is the path of a folder")
    return text


def file_name(text: str) -> str:
    """The path of a file."""
    if not text.strip() or "\0" in text:
        raise ValueError("is the path of a file")
    return text


def whole_number(text: str, least: int, most: int) -> int:
    """A whole number within its limits."""
    if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
        raise ValueError(f"is a whole number from {least} to {most}")
    return int(text)


def decimal(text: str, least: float, most: float) -> float:
    """A decimal number within its limits."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or not least <= float(text) <= most:
        raise ValueError(f"is a number from {least:g} to {most:g}")
    return float(text)
