"""Which pixels must go: what each kind of image is taken for, and what its regions leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file

from rules import compile_plan
from rules.conditions import Absent, Condition, Equals
from rules.errors import DeidentificationError, InstanceRefused, Mark, Reason
from rules.regions import (
    KINDS,
    NO_POLICY,
    Box,
    Decision,
    PixelPolicy,
    PixelRule,
    bands,
    decide,
    geometry,
)
from tests import driving, encoded, instances

MARK = Mark("f", 1, 1)
REFUSE_ALL = PixelPolicy(burned_in=dict.fromkeys(KINDS, "refuse"))
STORAGE = "1.2.840.10008.5.1.4.1.1."
SOP_CLASS, IMAGE_TYPE, CONVERSION_TYPE = 0x00080016, 0x00080008, 0x00080064
MANUFACTURER, ROWS, COLUMNS, BURNED_IN = 0x00080070, 0x00280010, 0x00280011, 0x00280301
REGIONS = 0x00186011
EDGES = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
CT, US, SC = STORAGE + "2", STORAGE + "6.1", STORAGE + "7"


def decided(policy, attributes, regions=()):
    """The decision about an image of 100 x 200 with these attributes and regions."""
    values = {ROWS: "100", COLUMNS: "200"} | attributes
    items = [
        {tag: edge.to_bytes(4, "little") for tag, edge in zip(EDGES, region, strict=True)}
        for region in regions
    ]
    return decide(policy, values.get, lambda tag: items if tag == REGIONS else [])


def rule(*blank, maker="ACME", keep_regions=False):
    """A rule for the images of one maker."""
    when = Condition(((MANUFACTURER, Equals(maker)),), MARK)
    return PixelRule(when, blank, keep_regions, (), (), MARK)


def is_refused(policy, attributes, regions=()):
    """Whether an image is refused, and for the reason that stands for it."""
    try:
        decided(policy, attributes, regions)
    except InstanceRefused as refusal:
        return refusal.reason is Reason.BURNED_IN
    return False


@pytest.mark.parametrize("end", ["3", "3.1", "6", "6.1", "6.2", "7", "7.1", "7.2", "7.3", "7.4"])
def test_a_class_that_can_carry_text_is_refused_without_a_rule(end):
    """Ultrasound and secondary capture, their retired and multi-frame classes included."""
    assert is_refused(REFUSE_ALL, {SOP_CLASS: STORAGE + end})


@pytest.mark.parametrize("end", ["1", "1.1", "2", "4", "12.1", "20", "88.11", "104.1", "128"])
def test_other_classes_pass(end):
    """Images of modalities that draw no text into them."""
    assert decided(REFUSE_ALL, {SOP_CLASS: STORAGE + end}) == Decision()


@pytest.mark.parametrize(
    "image_type",
    [
        "DERIVED\\SECONDARY\\SCREEN SAVE",
        "DERIVED\\SECONDARY\\OTHER\\Screen_Save ",
        "ORIGINAL\\PRIMARY\\SCREEN",
        "DERIVED\\SECONDARY\\CAPTURED",
        "DERIVED\\SECONDARY\\SAVED IMAGE",
    ],
)
def test_an_image_that_says_it_shows_a_screen_is_refused(image_type):
    """Whatever its SOP class is."""
    assert is_refused(REFUSE_ALL, {SOP_CLASS: CT, IMAGE_TYPE: image_type})


@pytest.mark.parametrize(
    "image_type", ["DERIVED\\SECONDARY\\OTHER", "ORIGINAL\\PRIMARY\\AXIAL\\SCREENING", ""]
)
def test_an_image_that_says_no_such_thing_passes(image_type):
    """A word is a whole word: screening is no screen."""
    assert decided(REFUSE_ALL, {SOP_CLASS: CT, IMAGE_TYPE: image_type}) == Decision()


@pytest.mark.parametrize(("term", "refused"), [("WSD", True), ("SD", True), ("DI", False)])
def test_the_conversion_type_tells_of_screens_and_paper(term, refused):
    """DI stands in plain images too."""
    assert is_refused(REFUSE_ALL, {SOP_CLASS: CT, CONVERSION_TYPE: term}) is refused


def test_what_declares_text_is_refused_in_every_class():
    """Burned In Annotation YES."""
    assert is_refused(REFUSE_ALL, {SOP_CLASS: CT, BURNED_IN: "YES "})


@pytest.mark.parametrize("attributes", [{SOP_CLASS: US}, {SOP_CLASS: SC}, {IMAGE_TYPE: "SCREEN"}])
def test_what_declares_that_there_is_no_text_passes(attributes):
    """The source knows best."""
    assert decided(REFUSE_ALL, attributes | {BURNED_IN: "NO"}) == Decision()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_refused_by_its_own_word(kind):
    """A profile may keep one kind and refuse another."""
    examples = {
        "Ultrasound": {SOP_CLASS: US},
        "SecondaryCapture": {SOP_CLASS: SC},
        "ScreenSave": {SOP_CLASS: CT, IMAGE_TYPE: "DERIVED\\SECONDARY\\SCREEN SAVE"},
        "Declared": {SOP_CLASS: CT, BURNED_IN: "YES"},
    }
    policy = PixelPolicy(burned_in={kind: "refuse"})

    assert [one for one, header in examples.items() if is_refused(policy, header)] == [kind]


def test_without_rows_there_is_no_image_and_its_pixels_are_barred():
    """A document passes; pixels of no size, in which nobody can look, do not."""
    assert decided(REFUSE_ALL, {SOP_CLASS: SC, ROWS: ""}) == Decision(bars_pixels=True)
    assert decided(NO_POLICY, {SOP_CLASS: SC, ROWS: ""}) == Decision()


def test_all_rules_that_match_add_up():
    """None hides another, and a rule that does not match adds nothing."""
    one, two, three = Box(0, 0, 9, 9), Box(9, 9, 9, 9), Box(1, 1, 1, 1)
    policy = PixelPolicy((rule(one), rule(three, maker="OTHER"), rule(two)), REFUSE_ALL.burned_in)

    assert decided(policy, {SOP_CLASS: SC, MANUFACTURER: "ACME"}) == Decision((one, two))
    assert is_refused(policy, {SOP_CLASS: SC, MANUFACTURER: "NOBODY"})


def test_a_rule_that_blanks_nothing_says_that_there_is_nothing():
    """A device whose images are known to be clean."""
    policy = PixelPolicy((rule(),), REFUSE_ALL.burned_in)

    assert decided(policy, {SOP_CLASS: SC, MANUFACTURER: "ACME"}) == Decision()


def test_of_ultrasound_only_its_regions_are_kept():
    """Edges are the first and the last pixel of a region."""
    cleans = PixelPolicy(cleans=True)

    decision = decided(cleans, {SOP_CLASS: US}, [(10, 20, 109, 79), (0, 0, 9, 9)])

    assert decision == Decision(keep=(Box(10, 20, 100, 60), Box(0, 0, 10, 10)))


@pytest.mark.parametrize(
    "regions",
    [
        [],
        [(0, 0, 199, 99)],
        [(0, 0, 200, 100)],
        [(0, 0, 99, 99), (100, 0, 199, 99)],
        [(10, 10, 5, 20)],
        [(10, 10, 20, 300)],
        [(0, 0, 5, 5), (0, 0, 0xFFFFFFFF, 5)],
        [(0, 0, 5, 5)] * 65,
    ],
    ids=["none", "all", "all and an edge", "all in two", "turned", "beyond", "one huge", "many"],
)
def test_regions_that_leave_nothing_out_or_lie_outside_refuse(regions):
    """What cannot be kept alone is not kept."""
    assert is_refused(PixelPolicy(cleans=True), {SOP_CLASS: US}, regions)


def test_a_region_without_edges_refuses():
    """An item that says nothing is no region."""
    values = {ROWS: "100", COLUMNS: "200", SOP_CLASS: US}

    with pytest.raises(InstanceRefused):
        decide(PixelPolicy(cleans=True), values.get, lambda _: [{EDGES[0]: b"\0\0"}])


def test_a_rule_can_ask_for_the_regions_and_blank_inside_of_them():
    """`keep_regions` refuses where there are none, whatever the source declares."""
    inside = Box(12, 22, 3, 3)
    policy = PixelPolicy((rule(inside, keep_regions=True),))
    header = {SOP_CLASS: STORAGE + "9.9", MANUFACTURER: "ACME", BURNED_IN: "NO"}

    decision = decided(policy, header, [(10, 20, 109, 79)])

    assert decision == Decision((inside,), (Box(10, 20, 100, 60),))
    assert is_refused(policy, header)


def test_a_box_of_a_rule_stands_in_for_missing_regions():
    """A rule for the device satisfies the policy as regions do."""
    policy = PixelPolicy((rule(Box(0, 0, 200, 10)),), cleans=True)

    decision = decided(policy, {SOP_CLASS: US, MANUFACTURER: "ACME"})

    assert decision == Decision((Box(0, 0, 200, 10),))


def decided_of(path):
    """The decision about a real ultrasound image, and its size."""
    dataset = dcmread(path, stop_before_pixels=True)
    items = [
        {tag: int(item[tag].value).to_bytes(4, "little") for tag in EDGES}
        for item in dataset[REGIONS].value
    ]
    lookup = {int(one.tag): str(one.value) for one in dataset if one.VR != "SQ"}.get
    decision = decide(PixelPolicy(cleans=True), lookup, lambda _: items)
    return decision, dataset.Rows, dataset.Columns


@pytest.mark.parametrize("number", ["023", "031"])
def test_regions_of_real_ultrasound_are_kept(corpus, number):
    """As scanners wrote them: several, or one."""
    (path,) = [path for path in corpus if path.name.startswith(number)]

    decision, rows, columns = decided_of(path)

    assert decision.keep
    assert bands(decision, rows, columns)


@pytest.mark.parametrize("name", ["examples_palette.dcm", "examples_ybr_color.dcm"])
def test_regions_of_a_shrunken_image_refuse(name):
    """These two were made smaller, and still say where their regions were before."""
    with pytest.raises(InstanceRefused):
        decided_of(get_testdata_file(name))


boxes = st.builds(Box, *[st.integers(0, 12)] * 4)


@given(
    st.lists(boxes, max_size=4),
    st.none() | st.lists(boxes, max_size=3),
    st.integers(1, 10),
    st.integers(1, 10),
)
def test_bands_are_the_boxes_and_all_that_is_not_kept(blanked, kept, rows, columns):
    """Pixel by pixel; bands and intervals ascend and do not touch."""
    decision = Decision(tuple(blanked), None if kept is None else tuple(kept))

    found = bands(decision, rows, columns)

    covered = {
        (row, column)
        for band in found
        for row in range(band.top, band.bottom)
        for start, stop in band.intervals
        for column in range(start, stop)
    }
    assert covered == {
        (row, column)
        for row in range(rows)
        for column in range(columns)
        if any(_holds(box, row, column) for box in blanked)
        or (kept is not None and not any(_holds(box, row, column) for box in kept))
    }
    for band in found:
        edges = [edge for interval in band.intervals for edge in interval]
        assert edges == sorted(set(edges))


def _holds(box, row, column):
    return box.y <= row < box.y + box.height and box.x <= column < box.x + box.width


IMAGE = {ROWS: "4", COLUMNS: "5", 0x00280100: "16"}


def test_what_an_image_does_not_say_of_itself_is_one():
    """One frame, one sample, every bit stored, unsigned."""
    found = geometry(IMAGE.get)

    assert (found.rows, found.columns, found.frames, found.samples) == (4, 5, 1, 1)
    assert (found.bits_allocated, found.bits_stored, found.signed) == (16, 16, False)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (ROWS, None),
        (ROWS, "0"),
        (COLUMNS, ""),
        (0x00280100, "12"),
        (0x00280100, None),
        (0x00280008, "1A"),
        (0x00280008, "-1"),
        (0x00280008, "9" * 5000),
        (0x00280002, "5"),
    ],
)
def test_impossible_sizes_cannot_be_blanked(tag, value):
    """The reason names the attribute."""
    with pytest.raises(DeidentificationError) as raised:
        geometry((IMAGE | {tag: value}).get)

    assert raised.value.reason is Reason.PIXELS_UNREADABLE
    assert raised.value.tag == tag


def test_a_condition_may_ask_for_what_is_absent():
    """Conditions see what the instance says, as everywhere."""
    when = Condition(((MANUFACTURER, Absent()),), MARK)
    policy = PixelPolicy(
        (
            PixelRule(
                when, (Box(0, 0, 1, 1),), keep_regions=False, matches=(), passes=(), mark=MARK
            ),
        )
    )

    assert decided(policy, {SOP_CLASS: CT}).blanks


def test_pixels_without_a_size_are_refused_where_somebody_would_have_looked():
    """Nobody can look for text in an image that does not say how large it is."""
    plan = compile_plan(driving.profile(burned_in=dict.fromkeys(KINDS, "refuse")))
    sizeless = [el for el in instances.small_ct() if el.tag not in {0x00280010, 0x00280011}]
    dataset = instances.dataset(sizeless, encoded.EXPLICIT)

    assert [el for el in sizeless if el.tag == instances.PIXEL_DATA]
    with pytest.raises(DeidentificationError) as refused:
        driving.engine(dataset, encoded.EXPLICIT, plan=plan)
    assert refused.value.reason is Reason.PIXELS_UNREADABLE
