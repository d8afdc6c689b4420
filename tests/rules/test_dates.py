"""Dates: moved by one offset a patient, intervals kept, and what is no date replaced."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, tag_for_keyword

from rules import compile_plan
from rules.dates import Coarsen, Shift, _from_ordinal, _to_ordinal, partner_of
from rules.operators import Context, Dummy, Empty
from rules.pseudonyms import Pseudonyms
from tests import driving, encoded, instances
from tests.encoded import El

KEYED = Pseudonyms(bytes(range(32)))
SCOPE = "s"
STUDY_DATE, STUDY_TIME = 0x00080020, 0x00080030
DAYS, NO_SECONDS, SECONDS = (-3650, -1), (0, 0), (-86399, 86399)
DATE_VRS = ("DA", "DT", "TM")
DATES = st.dates(date(1000, 1, 1), date(9000, 12, 31))
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9000, 12, 31)).map(  # noqa: DTZ001 - no zone
    lambda moment: moment.replace(microsecond=0)
)
PATIENTS = st.text(min_size=1, max_size=12)


def context(patient="p", siblings=None):
    """An instance of a patient, with the values of the other elements of its level."""
    values = siblings or {}
    return Context(
        KEYED, implicit=False, patient=patient, sibling=lambda tag: values.get(tag, b"")
    )


def shift(days=DAYS, seconds=NO_SECONDS, partner=0, otherwise=None):
    """The operator, which empties what it does not understand."""
    return Shift(SCOPE, days, seconds, partner, otherwise or Empty())


def by(days=0, seconds=0, partner=0):
    """An operator with an offset that everybody has."""
    return shift((days, days), (seconds, seconds), partner)


def moved(operator, vr, text, patient="p", siblings=None):
    """The text that an operator makes of a text."""
    value = text.encode() + b" " * (len(text) % 2)
    return operator.apply(vr, value, context(patient, siblings)).decode().rstrip(" ")


def offset_of(patient, days=DAYS):
    """A patient's days."""
    return timedelta(KEYED.offset("days", SCOPE, patient, *days))


def as_da(day):
    """A date as the standard writes it."""
    return f"{day.year:04}{day.month:02}{day.day:02}"


def as_tm(moment):
    """A time as the standard writes it."""
    return f"{moment.hour:02}{moment.minute:02}{moment.second:02}"


def as_dt(moment):
    """A date and time as the standard writes it."""
    return as_da(moment) + as_tm(moment)


# ---- the calendar


@given(st.integers(date.min.toordinal(), date.max.toordinal()))
def test_the_calendar_is_that_of_everybody(ordinal):
    """Days are numbered as by Python, from the year 1 to the year 9999."""
    expected = date.fromordinal(ordinal)

    assert _from_ordinal(ordinal) == (expected.year, expected.month, expected.day)
    assert _to_ordinal(*_from_ordinal(ordinal)) == ordinal


@pytest.mark.slow
def test_every_day_of_the_calendar_has_its_number():
    """All three and a half million of them."""
    for ordinal in range(1, date.max.toordinal() + 1):
        day = date.fromordinal(ordinal)
        assert _from_ordinal(ordinal) == (day.year, day.month, day.day)
        assert _to_ordinal(day.year, day.month, day.day) == ordinal


# ---- days


@given(DATES, PATIENTS)
def test_a_date_moves_by_the_offset_of_its_patient(day, patient):
    """As many days as the key gives to this patient."""
    assert moved(shift(), "DA", as_da(day), patient) == as_da(day + offset_of(patient))


@given(DATES, DATES, PATIENTS, st.sampled_from([NO_SECONDS, SECONDS]))
def test_the_interval_between_two_dates_of_a_patient_stays(first, second, patient, seconds):
    """Which is what the option is for."""
    results = [
        datetime.strptime(  # noqa: DTZ007 - no zone
            moved(shift(seconds=seconds), "DA", as_da(day), patient).zfill(8), "%Y%m%d"
        )
        for day in (first, second)
    ]

    assert results[1] - results[0] == second - first


@given(DATES, PATIENTS)
def test_a_date_never_stays_what_it_was(day, patient):
    """Not even where the range of offsets lies around zero."""
    assert moved(shift((-2, 2)), "DA", as_da(day), patient) != as_da(day)


def test_two_patients_have_two_offsets():
    """Knowing one of them opens nothing else."""
    results = {moved(shift(), "DA", "20200229", f"patient {one}") for one in range(20)}

    assert len(results) > 15


@given(DATES, st.integers(1, 3000))
def test_a_shift_can_be_taken_back_by_its_opposite(day, days):
    """Nothing is lost on the way."""
    assert moved(by(-days), "DA", moved(by(days), "DA", as_da(day))) == as_da(day)


@pytest.mark.parametrize(
    ("vr", "text", "expected"),
    [
        ("DA", "20200229", "20200301"),
        ("DA", "2020.02.29", "20200301"),
        ("DA", "20200229 ", "20200301"),
        ("DA", " 20200229", "20200301"),
        ("DA", "20200229\0", "20200301"),
        ("DA", "20200101\\20201231", "20200102\\20210101"),
        ("DA", "20200101\\\\20201231", "20200102\\\\20210101"),
        ("DA", "20200101\\", "20200102\\"),
        ("DA", "20200101-20201231", "20200102-20210101"),
        ("DA", "2020.01.01-2020.12.31", "20200102-20210101"),
        ("DA", "-20201231", "-20210101"),
        ("DA", "20201231-", "20210101-"),
        ("DT", "20201231", "20210101"),
        ("DT", "2020", "2020"),
        ("DT", "202001", "202001"),
        ("DT", "2020123123", "2021010123"),
        ("DT", "20201231235959.123456+0200", "20210101235959.123456+0200"),
        ("DT", "20201231235960-0930", "20210101235960-0930"),
        ("DT", "2020-0930", "2020-0930"),
        ("DT", "202012312359-20210101", "202101012359-20210102"),
        ("DT", "20201231-0500-20201231-0500", "20210101-0500-20210101-0500"),
        ("DT", "2001-2002", "2001-2002"),
        ("TM", "235959.5", "235959.5"),
        ("TM", "23:59:59", "235959"),
        ("TM", "10", "10"),
        ("TM", "1030-", "1030-"),
        ("TM", "080000-120000", "080000-120000"),
    ],
)
def test_a_day_moves_dates_and_leaves_times(vr, text, expected):
    """In every form that the standard and its predecessor know."""
    assert moved(by(1), vr, text) == expected


@pytest.mark.parametrize(
    ("text", "days", "expected"), [("2020", 400, "2021"), ("202001", -1, "201912")]
)
def test_a_year_or_month_moves_as_its_first_instant(text, days, expected):
    """And does not become finer on the way."""
    assert moved(by(days), "DT", text) == expected


@pytest.mark.parametrize("vr", DATE_VRS)
@pytest.mark.parametrize("value", [b"", b"  ", b"\0\0"])
def test_an_empty_value_stays_empty(vr, value):
    """Nothing is not a date that could be moved."""
    assert shift(otherwise=Dummy()).apply(vr, value, context()) == b""
    assert Coarsen("year", Dummy()).apply(vr, value, context()) == b""


NO_DATES = [
    ("DA", "20200230"),
    ("DA", "20201301"),
    ("DA", "20200001"),
    ("DA", "20200100"),
    ("DA", "00000101"),
    ("DA", "2020.0101"),
    ("DA", "202001"),
    ("DA", "2020-01-01"),
    ("DA", "20200101-20200230"),
    ("DA", "20200101-20200102-20200103"),
    ("DA", "-"),
    ("DA", "Doe^Jane"),
    ("DA", "20200101\\Doe"),
    ("DA", "\uff12020010\uff11"),
    ("DA", "20200101" * 20),
    ("DT", "20200230"),
    ("DT", "2020010125"),
    ("DT", "20200101+9900"),
    ("DT", "202001011"),
    ("TM", "2500"),
    ("TM", "10:"),
    ("TM", "101"),
    ("TM", "1010.5"),
    ("TM", "101010.1234567"),
    ("TM", "Doe"),
]


@pytest.mark.parametrize(("vr", "text"), NO_DATES)
def test_what_is_no_date_is_replaced_as_a_whole(vr, text):
    """What was not understood never passes."""
    value = text.encode()

    for operator in (shift(otherwise=Dummy()), Coarsen("month", Dummy())):
        assert operator.apply(vr, value, context()) == Dummy().apply(vr, value, context())


@pytest.mark.parametrize(("days", "text"), [(-1, "00010101"), (1, "99991231")])
def test_a_date_that_would_leave_the_calendar_is_replaced(days, text):
    """A year of five digits is none."""
    assert moved(by(days), "DA", text) == ""


@pytest.mark.parametrize("vr", ["LO", "AS", "UN", "OB", "SQ"])
def test_only_dates_and_times_are_moved(vr):
    """Whatever else a rule may name gets what takes the place of no date."""
    for operator in (shift(otherwise=Dummy()), Coarsen("year", Dummy())):
        assert operator.apply(vr, b"20200101", context()) == Dummy().apply(vr, b"", context())


# ---- seconds


@given(MOMENTS, PATIENTS)
def test_a_date_and_its_time_move_as_one_moment(moment, patient):
    """Across midnight too."""
    seconds = KEYED.offset("seconds", SCOPE, patient, *SECONDS)
    expected = moment + offset_of(patient) + timedelta(seconds=seconds)
    siblings = {STUDY_TIME: as_tm(moment).encode(), STUDY_DATE: as_da(moment).encode()}
    dates, times = (shift(seconds=SECONDS, partner=tag) for tag in (STUDY_TIME, STUDY_DATE))

    assert moved(dates, "DA", as_da(moment), patient, siblings) == as_da(expected)
    assert moved(times, "TM", as_tm(moment), patient, siblings) == as_tm(expected)
    assert moved(shift(seconds=SECONDS), "DT", as_dt(moment), patient) == as_dt(expected)


@pytest.mark.parametrize(
    ("seconds", "time", "expected"),
    [
        (3600, b"233000", "20200102"),
        (3600, b"223000", "20200101"),
        (-3600, b"003000", "20191231"),
        (1, b"235959.9 ", "20200102"),
        (1, b"23:59:59", "20200102"),
        (0, b"233000", "20200101"),
        (3600, b"", "20200101"),
        (-3600, b"", "20191231"),
        (3600, b"Doe^Jane", "20200101"),
    ],
)
def test_a_date_goes_with_its_time(seconds, time, expected):
    """Without one it is midnight."""
    operator = by(-1, seconds, STUDY_TIME)

    assert moved(operator, "DA", "20200102", siblings={STUDY_TIME: time}) == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (b"120000\\233000", "20200102\\20200103"),
        (b"233000", "20200103\\20200103"),
        (b"\\233000 ", "20200102\\20200103"),
    ],
)
def test_of_several_dates_each_goes_with_the_time_of_its_place(times, expected):
    """Or with the first, where there are fewer times."""
    operator = by(1, 3600, STUDY_TIME)

    text = moved(operator, "DA", "20200101\\20200101", siblings={STUDY_TIME: times})

    assert text == expected


@pytest.mark.parametrize(
    ("vr", "text", "expected"),
    [
        ("TM", "233000", "003000"),
        ("TM", "2330", "0030"),
        ("TM", "23", "00"),
        ("TM", "233000.25", "003000.25"),
        ("TM", "235960", "010000"),
        ("DT", "20200101235960", "20200103010000"),
        ("DT", "20200101", "20200102"),
        ("DT", "2020010123", "2020010300"),
        ("DT", "20200101233000.25-0500", "20200103003000.25-0500"),
        ("DA", "20200101-20200102", "20200102-20200103"),
    ],
)
def test_an_hour_and_a_day_are_added_at_the_precision_of_the_value(vr, text, expected):
    """Nothing becomes finer than it was, and a time alone stays within its day."""
    assert moved(by(1, 3600), vr, text) == expected


def test_a_day_of_seconds_cannot_undo_a_day():
    """No moment stays where it was."""
    assert moved(by(1, -86400), "DT", "20200101120000") == "20200102120000"


# ---- coarse dates


@pytest.mark.parametrize(
    ("unit", "vr", "text", "expected"),
    [
        ("year", "DA", "20240229", "20240101"),
        ("month", "DA", "20240229", "20240201"),
        ("month", "DA", "2024.02.29", "20240201"),
        ("month", "DA", "20240229\\\\20230315", "20240201\\\\20230301"),
        ("year", "DA", "20230105-20240229", "20230101-20240101"),
        ("year", "DT", "20240229101530.5+0100", "20240101"),
        ("month", "DT", "20240229101530", "20240201"),
        ("month", "DT", "202402", "202402"),
        ("year", "DT", "202402", "202401"),
        ("month", "DT", "2024", "2024"),
        ("year", "TM", "101530.5", "000000"),
        ("month", "TM", "10", "000000"),
    ],
)
def test_a_coarse_date_is_the_first_day_of_its_unit(unit, vr, text, expected):
    """Never finer than the unit, nor than it was."""
    assert moved(Coarsen(unit, Empty()), vr, text) == expected


@given(DATES, st.sampled_from(["year", "month"]))
def test_all_dates_of_a_unit_become_one(day, unit):
    """So that the date says nothing but the unit."""
    first = day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)

    assert moved(Coarsen(unit, Empty()), "DA", as_da(day)) == as_da(first)


# ---- partners


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("StudyDate", "StudyTime"),
        ("AcquisitionDate", "AcquisitionTime"),
        ("PatientBirthDate", "PatientBirthTime"),
        ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"),
        ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
    ],
)
def test_a_date_and_its_time_are_partners(one, other):
    """By their keywords, in both directions."""
    assert partner_of(tag_for_keyword(one)) == tag_for_keyword(other)
    assert partner_of(tag_for_keyword(other)) == tag_for_keyword(one)


@pytest.mark.parametrize("tag", [0, 0x00080005, 0x00080102, 0x0008002A, 0x00091001, 0xFFFEE000])
def test_other_attributes_have_no_partner(tag):
    """Neither have unknown ones, nor those that are date and time in one."""
    assert partner_of(tag) == 0


def test_partnership_is_mutual():
    """Over the whole dictionary."""
    pairs = [(tag, partner_of(tag)) for tag in DicomDictionary]

    assert all(partner_of(other) == tag for tag, other in pairs if other)
    assert sum(1 for _, other in pairs if other) > 60


# ---- whatever comes


@given(
    st.sampled_from([*DATE_VRS, "LO"]), st.binary(max_size=80), st.sampled_from([(0, 0), SECONDS])
)
def test_any_bytes_are_moved_or_replaced(vr, value, seconds):
    """No sender can make the operators fail, nor write an odd length."""
    instance = context(siblings={STUDY_TIME: value})
    operators = (
        shift(seconds=seconds, partner=STUDY_TIME, otherwise=Dummy()),
        Coarsen("year", Dummy()),
    )

    for operator in operators:
        assert len(operator.apply(vr, value, instance)) % 2 == 0


@given(st.sampled_from(DATE_VRS), st.text("0123456789-+.:\\ ", max_size=40))
def test_what_looks_like_a_date_is_moved_or_replaced(vr, text):
    """Whatever it is of digits and signs."""
    value = text.encode()
    assume(text.strip(" \\"))

    result = by(1).apply(vr, value, context())

    assert len(result) % 2 == 0
    assert vr == "TM" or result != value or len(text.strip()) in (4, 6) or b"-" in value


@pytest.mark.parametrize("syntax", [encoded.IMPLICIT, encoded.EXPLICIT])
def test_the_dates_of_an_instance_move_together(syntax):
    """By the patient's offset, each with its time, at every depth."""
    moment = datetime(2020, 1, 2, 23, 59, 30)  # noqa: DTZ001 - no zone
    pair = [El(STUDY_DATE, "DA", b"20200102"), El(STUDY_TIME, "TM", b"235930")]
    elements = instances.small_ct([*pair, El(0x00081140, "SQ", [pair])])
    options = ("retain-longitudinal-modified-dates",)
    plan = compile_plan(driving.profile(options=options, shift_seconds=SECONDS))
    patient = "PAT-4711\0"  # and an issuer, which there is none of
    offset = timedelta(
        days=driving.pseudonyms().offset("days", driving.PROFILE, patient, *DAYS),
        seconds=driving.pseudonyms().offset("seconds", driving.PROFILE, patient, *SECONDS),
    )

    output = driving.engine(instances.dataset(elements, syntax), syntax, plan=plan)

    read = driving.read(output.file)
    for level in (read, read[0x00081140][0]):
        assert level.StudyDate + level.StudyTime == as_dt(moment + offset)


def test_an_operator_describes_itself():
    """In words for a person who reads what a profile does."""
    assert shift().describe() == "shift by the patient's offset, scope s"
    assert Coarsen("month", Empty()).describe() == "no finer than the month"
