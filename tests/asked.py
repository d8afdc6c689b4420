"""What the engine makes of instances when a request asks for it, and what a request is told."""

from __future__ import annotations

import pytest

from rules.requests import (
    Level,
    RequestFault,
    Touched,
    plan_of,
    read_anonymize,
    read_modify,
    renaming_of,
)
from tests import driving, instances
from tests.encoded import EXPLICIT

SCOPE = "job:1"
STUDY, SERIES = f"{instances.ROOT}.1", f"{instances.ROOT}.1.1"
INSTANCE = f"{SERIES}.1"
TOUCHED = Touched({STUDY}, {SERIES}, {INSTANCE})


def new(uid):
    """The keyed UID of the job."""
    return driving.pseudonyms().uid(SCOPE, uid)


def done(modification, elements=None, syntax=EXPLICIT, touched=TOUCHED, name="Anonymized1"):
    """The output of the engine for one instance of a request."""
    renaming = renaming_of(modification, touched, driving.pseudonyms(), SCOPE)
    plan = plan_of(modification, scope=SCOPE, renaming=renaming, patient_name=name)
    dataset = instances.dataset(elements or instances.small_ct(), syntax)
    return driving.engine(dataset, syntax, plan=plan)


def anonymized(body, elements=None, **how):
    """The dataset, as pydicom reads it, that an anonymization makes of an instance."""
    return driving.read(done(read_anonymize(body), elements, **how).file)


def modified(body, elements=None, level=Level.INSTANCE, **how):
    """Likewise of a modification."""
    return driving.read(done(read_modify(body, level), elements, **how).file)


def fault(read, *given, **named):
    """The fault that reading a body ends in."""
    with pytest.raises(RequestFault) as caught:
        read(*given, **named)
    return caught.value
