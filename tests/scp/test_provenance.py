"""What a study went through: summed over its instances, in words and for machines."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from scp import __version__
from scp.instance import DeliveryState, RuleSet
from scp.journal import FILE_NAME, Journal
from scp.provenance import as_json, provenance
from tests.acceptance.running import anonode
from tests.scp.storing import new

OLD = RuleSet("a" * 64, "trial", "basic", "2024b", (), "0.2.0")
NEW = RuleSet("b" * 64, "trial", "basic", "2026d", ("retain-uids", "clean-descriptors"), "0.3.0")
CONFIG = """
version: 1
node: {ae_title: ANONODE, listen: "127.0.0.1:0", data: data}
routes: [{from: CT1, to: ANONODE, profile: basic}]
"""


class Clock:
    """Seconds since 1970, ten more each time it is read."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        self.now += 10
        return self.now


@pytest.fixture
def journal(tmp_path):
    """Two studies, one of them under two sets of rules and from two senders."""
    (tmp_path / "data").mkdir()
    made = Journal(tmp_path / "data" / FILE_NAME, wall=Clock())
    made.note_rule_sets([OLD, NEW])
    add(made, 1, "archive", rule_set=OLD.digest, actions={"X": 2, "D": 1})
    add(made, 2, "archive", "research", rule_set=NEW.digest, actions={"X": 3})
    add(made, 3, rule_set=NEW.digest, actions={"X": 3})
    add(made, 4, rule_set=NEW.digest, actions={"X": 1, "U": 5})
    add(made, 5, rule_set=NEW.digest, actions={"X": 1}, calling_ae="CT2")
    add(made, 6, study_instance_uid="2.25.101")
    with closing(made):
        yield made


def add(journal, number, *destinations, **changes):
    """One instance of a trial."""
    journal.add(new(number, *destinations, **{"profile": "trial", **changes}))


def test_equal_treatment_is_one_entry_with_its_actions_summed(journal):
    """By profile, rule set and sender; each action counts once for each instance."""
    study, _ = provenance(journal)

    found = [(one.digest[:1], one.calling_ae, one.instances) for one in study.treatments]
    assert found == [("a", "CT1", 1), ("b", "CT1", 3), ("b", "CT2", 1)]
    assert [dict(one.actions) for one in study.treatments] == [
        {"D": 1, "X": 2},
        {"U": 5, "X": 3 + 3 + 1},
        {"X": 1},
    ]
    assert study.instances == 5


def test_a_digest_is_told_with_what_it_stands_for(journal):
    """As it was noted when it was used, whatever the configuration says now."""
    study, _ = provenance(journal)

    assert [one.rule_set for one in study.treatments] == [OLD, NEW, NEW]


def test_what_was_never_noted_is_said_to_be_unknown(journal):
    """Instances of an earlier release have neither digest nor counts."""
    _, study = provenance(journal)
    (treatment,) = study.treatments

    assert (treatment.digest, treatment.rule_set, treatment.actions) == ("", None, {})


def test_first_and_last_span_all_treatments(journal):
    """From the first instance received to the last."""
    study, _ = provenance(journal)

    assert study.first_at == min(one.first_at for one in study.treatments)
    assert study.last_at - study.first_at == 40


def test_deliveries_are_counted_by_state(journal):
    """For each destination, what it has and what it is owed."""
    journal.expire("research", lifetime_s=-1, outcome="given up")

    study, other = provenance(journal)

    assert [(one.destination, one.state, one.instances) for one in study.deliveries] == [
        ("archive", DeliveryState.DUE, 2),
        ("research", DeliveryState.FAILED, 1),
    ]
    assert other.deliveries == ()


def test_one_study_can_be_asked_for(journal):
    """By its new UID; none is found under another."""
    (found,) = provenance(journal, "2.25.101")

    assert found.study_instance_uid == "2.25.101"
    assert provenance(journal, "2.25.999") == ()


def test_the_document_for_machines_holds_all_of_it(journal):
    """Times in UTC, unknown things null."""
    found = json.loads(json.dumps(as_json(provenance(journal))))
    first, second = found["studies"]

    assert found["anonode"] == __version__
    assert first["treatments"][1] == {
        "profile": "trial",
        "calling_ae": "CT1",
        "instances": 3,
        "first_received": "2023-11-14T22:14:00Z",
        "last_received": "2023-11-14T22:14:20Z",
        "rule_set": NEW.digest,
        "base": "basic",
        "edition": "2026d",
        "options": ["retain-uids", "clean-descriptors"],
        "release": "0.3.0",
        "actions": {"U": 5, "X": 7},
    }
    assert {"destination": "research", "state": "due", "instances": 1} in first["deliveries"]
    assert second["treatments"][0]["base"] is None
    assert second["treatments"][0]["rule_set"] == ""


@pytest.fixture
def report(journal, tmp_path):
    """The command on that journal."""
    journal.checkpoint()
    (tmp_path / "config.yaml").write_text(CONFIG)

    def run(*arguments):
        return anonode("report", *arguments, "--config", tmp_path / "config.yaml")

    return run


def test_the_command_says_it_in_words(report):
    """Profile, sender, rules, digest, elements and deliveries of every study."""
    done = report()

    assert done.returncode == 0, done.stderr
    for said in (
        "study 2.25.100: 5 instances",
        "study 2.25.101: 1 instances",
        "base basic 2026d, options retain-uids clean-descriptors, release 0.3.0",
        NEW.digest,
        "7 removed, 5 given another UID",
        "research     due",
        "not noted",
    ):
        assert said in done.stdout


@pytest.mark.slow
def test_the_command_says_it_to_machines(report):
    """Standard output is the document and nothing else."""
    done = report("2.25.101", "--json")

    (study,) = json.loads(done.stdout)["studies"]
    assert study["study_instance_uid"] == "2.25.101"


@pytest.mark.slow
def test_a_study_that_is_not_there_is_a_mistake_of_the_command_line(report):
    """Perhaps it was an original UID: it is not repeated."""
    done = report("1.2.3")

    assert done.returncode == 2
    assert "no such study" in done.stderr
    assert "1.2.3" not in done.stderr
