"""A sender that cannot be the bottleneck: every PDU is built before the clock starts.

Speaks with the benchmark over its standard streams, one line at a time: prints `ready`, waits for
a line, sends, prints the start and the end on the monotonic clock and how many were not stored,
waits for a line, releases.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

from benchmarks import instances, wire

HOST = "127.0.0.1"
CALLING = "BENCH"


def main() -> None:
    """Run one association as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=("store", "large", "idle"))
    parser.add_argument("port", type=int)
    parser.add_argument("called")
    parser.add_argument("--side", type=int, default=512, help="pixels of a row and of a column")
    parser.add_argument("--count", type=int, default=1, help="instances to send")
    parser.add_argument("--batch", type=int, default=0, help="makes the UIDs of a round unique")
    parser.add_argument("--association", type=int, default=0)
    parser.add_argument("--bytes", type=int, default=1 << 30, help="pixels of the large instance")
    given = parser.parse_args()
    sop_class = instances.MULTI_FRAME if given.mode == "large" else instances.CT
    association = wire.Association(HOST, given.port, given.called, CALLING, (sop_class,))
    send = {"store": store, "large": large, "idle": idle}[given.mode]
    send(association, given)
    sys.stdin.readline()
    association.release()


def store(association: wire.Association, given: argparse.Namespace) -> None:
    """Many instances, prepared, one after the other."""
    encoded = instances.encode(instances.ct(given.side))
    context = association.contexts[instances.CT]
    messages = []
    for number in range(given.count):
        uid = instances.instance_uid(given.batch, given.association, number)
        request = wire.store_request(number % 65_535 + 1, instances.CT, uid)
        messages.append(
            wire.store_message(
                context, association.max_pdu_bytes, request, instances.with_uid(encoded, uid)
            )
        )
    wait()
    start = time.monotonic()
    refused = sum(association.store(message) != 0 for message in messages)
    report(start, refused)


def large(association: wire.Association, given: argparse.Namespace) -> None:
    """One instance that is never held whole."""
    uid = instances.instance_uid(given.batch, given.association, 0)
    header = instances.with_uid(instances.large_header(given.bytes), uid)
    context = association.contexts[instances.MULTI_FRAME]
    wait()
    start = time.monotonic()
    request = wire.store_request(1, instances.MULTI_FRAME, uid)
    association.channel.sendall(wire.command_pdu(context, request))
    pieces = itertools.chain([header], instances.large_pixels(given.bytes))
    for pdu in wire.data_pdus(context, association.max_pdu_bytes, pieces):
        association.channel.sendall(pdu)
    report(start, int(association.status() != 0))


def idle(_association: wire.Association, _given: argparse.Namespace) -> None:
    """Nothing, until told to release."""
    print("ready", flush=True)


def wait() -> None:
    """Until the benchmark says go, so that all associations start together."""
    print("ready", flush=True)
    sys.stdin.readline()


def report(start: float, refused: int) -> None:
    """The result, on one line."""
    print(start, time.monotonic(), refused, flush=True)


if __name__ == "__main__":
    main()
