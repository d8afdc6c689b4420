"""Clean Descriptors: identifiers go, clinical words stay (PS3.15 E.3.5)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import compile_plan
from rules.descriptors import CleanText, Lists, clean
from rules.identity import Identity, collect
from rules.operators import Context, Empty, LiteralText
from rules.regions import KINDS
from rules.text.wording import condensed, folded_words
from rules.values import Unencodable
from tests import driving, encoded, instances
from tests.encoded import El, Form
from tests.instances import EXPLICIT, text

NOBODY = Identity()
NO_LISTS = Lists()

PHRASES = """
CT THORAX/ABDOMEN W CONTRAST 5.0 B30f
T2 FLAIR AX
L4-L5 DISC
MAMMO BILAT CC
3D TOF 0.6mm
post-op day 2
Thorax nativ
MRT Knie links mit KM
Schädel nativ und nach Kontrastmittel
IRM du genou droit sans injection
Scanner thoracique avec injection
TC TORAX CON CONTRASTE
RM rodilla izquierda
t1_vibe_fs_tra_bh_dyn
XR C Spine Comp Min 4 Views
ep2d_diff_b50_400_800_ADC
pulmonary embolism protocol
pain in right upper quadrant
Follow up of pulmonary nodule
status post hip replacement
r/o appendicitis
Verdacht auf Lungenembolie
Zustand nach Hemikolektomie
C5/6 foraminal stenosis
FDG PET WHOLE BODY AC
Breast screening MLO left
US abdomen complete
MR BRAIN W WO CONTRAST
MS BRAIN PROTOCOL
DR CHEST AP
SR dose report
Portal venous phase 120kV
T1 mprage sag p2 iso 1.0mm
DWI b1000 TE80
CTA HEAD AND NECK
carotid doppler bilateral
Hand AP and lateral
Head without contrast
Heart perfusion rest and stress
bone scan delayed images
Knochenszintigraphie
Durchleuchtung Magen
Osteosynthese distaler Radius
Mammographie de dépistage
recherche de métastases hépatiques
dolor lumbar cronico
Cor T2 HASTE
LAVA Flex 15s delay
rest stress gated SPECT
RT planning pelvis
PTV boost 2Gy
Isocenter 1
Scout
Routine Brain
5/5mm Plain
Cervical OBLI 2
liver lesion segment 7
grade II astrocytoma
stage IIIb
BI-RADS 4
window 40/400
pitch 0.9 matrix 512x512
recurrent glioblastoma after radiotherapy
shortness of breath
acute stroke less than 4 h
fall from height
rule out fracture of the scaphoid
vertigo and tinnitus
Arthrographie Schulter rechts
Angio Becken-Bein
Dünnschicht 1mm
Nasennebenhöhlen
left ventricular ejection fraction
myocardial viability
adrenal washout
renal colic
hydronephrosis grade 2
portacath position
nasogastric tube position
trauma series
polytrauma
whole spine sagittal
cine SSFP short axis
late gadolinium enhancement
arterial spin labeling
multiphasic liver
MRCP thick slab
small bowel enterography
virtual colonoscopy
cardiac CT calcium score
TAVI planning
EVAR follow up
tumour response
infection of prosthesis
lesion in the frontal lobe
sedation with propofol
allergy to contrast
patient could not hold breath
motion artifacts
repeat in 6 months
compare with prior exam
normal findings
no acute abnormality
""".strip().splitlines()

FAMILIES = """
Smith Johnson Nguyen García Müller Schröder Østergård O'Brien Kowalczyk Dvořák Yildiz Rossi Silva
Dupont Lefèvre Ivanova Papadopoulos Haddad Okafor Fernández Lindqvist MacGregor Szabó Horvat
Tremblay Vandenberghe Kaya Petrović Achterberg Wójcik Zimmermann Quispe Hand Head Brain
""".split()  # noqa: SIM905 - one a line is no easier to read
GIVEN = """
John Mary Hans-Peter Anna José Zoë Björn Aoife Łukasz Jiří Ayşe Giulia João Amélie Natalia Nikos
Fatima Chinedu María Sven Fiona László Ivana Étienne Lotte Emre Jelena Ruud Małgorzata Luz
""".split()  # noqa: SIM905 - likewise
STRANGERS = ["Wakefield", "Brandstätter", "Delacroix", "Castellanos", "Pemberton", "Ashworth"]
CLINICS = ["Willowbrook General Hospital", "Klinikum Rosenau", "CHU de Beaumarchais"]
STREETS = ["14 Larkspur Lane", "Nachtigallenweg 7", "22 rue Beauséjour"]
MONTHS = "January February March April May June July August September October November December"
MONATE = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
MOIS = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"


@dataclass
class Case:
    """An instance's values, and a text with some of them.

    `clinical` are its clinical words. Of the rest nothing may be left: neither the folded
    words, nor the condensed identifiers, nor a group of their digits (unless it is clinical).
    """

    elements: list[El]
    said: str = ""
    clinical: list[str] = field(default_factory=list)
    gone_words: set[str] = field(default_factory=set)
    gone_runs: set[str] = field(default_factory=set)
    gone_numbers: set[str] = field(default_factory=set)

    def left_in(self, cleaned: str) -> bool:
        """Whether anything of an identifier is left."""
        words, run = set(folded_words(cleaned)), condensed(cleaned)
        numbers = self.gone_numbers - set(self.clinical)
        return bool(words & (self.gone_words | numbers)) or any(
            one in run for one in self.gone_runs
        )


class Maker:
    """Makes cases of one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - for examples, not for keys
        pick, number = self.chance.choice, self.chance.randint
        self.patient = (pick(FAMILIES), pick(GIVEN))
        self.doctor = (pick(FAMILIES), pick(GIVEN))
        self.number = f"{pick(['', 'MR', '00', 'P-'])}{number(10**6, 10**8)}"
        self.accession = f"{pick('ACX')}{number(10**4, 10**7)}"
        self.birth = (number(1915, 2020), number(1, 12), number(1, 28))
        self.study = (number(1995, 2030), number(1, 12), number(1, 28))
        self.clinic, self.street = pick(CLINICS), pick(STREETS)
        self.phone = f"0{number(30, 99)} {number(10**6, 10**7)}"

    def case(self) -> Case:
        """A text of two or three phrases with identifiers before, between and behind them."""
        case = Case(self.elements())
        pieces = []
        for _ in range(self.chance.randint(1, 3)):
            phrase = self.chance.choice(PHRASES)
            case.clinical += folded_words(phrase)
            pieces += [self.identifier(case), phrase]
        pieces.append(self.identifier(case))
        for piece in pieces[: len(pieces) - self.chance.randint(0, 1)]:
            joiner = self.chance.choice([" ", " ", ", ", " - ", "; ", ". ", "\n", " / "])
            case.said += (joiner if case.said else "") + piece
        return case

    def elements(self) -> list[El]:
        """The values that the instance has elsewhere."""
        return [
            text(0x00080005, "CS", "ISO_IR 192"),
            text(0x00080020, "DA", "{}{:02}{:02}".format(*self.study)),
            text(0x00080050, "SH", self.accession),
            text(0x00080080, "LO", self.clinic),
            text(0x00080090, "PN", "^".join(self.doctor)),
            text(0x00100010, "PN", "^".join(self.patient)),
            text(0x00100020, "LO", self.number),
            text(0x00100030, "DA", "{}{:02}{:02}".format(*self.birth)),
            text(0x00101040, "LO", self.street),
            text(0x00102154, "SH", self.phone),
        ]

    def identifier(self, case: Case) -> str:
        """One in one of its spellings; what must be gone is noted."""
        kind = self.chance.choice(
            [self._name, self._name, self._number, self._date, self._place, self._anybody]
        )
        return kind(case)

    def _name(self, case: Case) -> str:
        family, given = self.chance.choice([self.patient, self.doctor])
        case.gone_words |= {*folded_words(family), *folded_words(given)}
        case.gone_words = {word for word in case.gone_words if len(word) > 1}
        spelling = self.chance.choice(
            [
                *("{f}^{g}", "{f}, {g}", "{g} {f}", "{F}_{G}", "{f} {g}", "Dr. {f}", "{g}_{f}"),
                *("{f}'s", "{i}. {f}", "({f}, {g})", "Prof. Dr. {g} {f}", "{F}^{G}^^DR", "{F}"),
                *("{g} {f}, MD", "{f}{g}", "ref: {f}", "{f}-{g}", "DR. {F}", "pt {G} {F}"),
            ]
        )
        return spelling.format(f=family, g=given, F=family.upper(), G=given.upper(), i=given[0])

    def _number(self, case: Case) -> str:
        number = self.chance.choice([self.number, self.accession])
        case.gone_runs.add(condensed(number).lstrip("0"))
        broken = f"{number[:4]}-{number[4:]}"
        spelling = self.chance.choice(["{}", "MRN:{}", "ID {}", "#{}", "Acc {}", "ID{}", "({})"])
        return spelling.format(self.chance.choice([number, number, number.lower(), broken]))

    def _date(self, case: Case) -> str:
        year, month, day = self.chance.choice([self.birth, self.study])
        case.gone_runs.add(f"{year}")
        case.gone_numbers |= {f"{day:02}", f"{month:02}"} - set("123456789")
        names = self.chance.choice([MONTHS, MONATE, MOIS]).split()
        short = MONTHS.split()[month - 1][:3]
        spelling = self.chance.choice(
            [
                *("{y}{m:02}{d:02}", "{y}-{m:02}-{d:02}", "{d:02}.{m:02}.{y}", "{m}/{d}/{y}"),
                *("{d:02}/{m:02}/{y}", "{d} {M} {y}", "{M} {d}, {y}", "{d}. {M} {y}", "{d}{S}{y}"),
                *("DOB {d}-{S}-{y}", "*{d:02}.{m:02}.{y}", "{y}/{m}/{d}", "{y}.{m:02}.{d:02}"),
                *("{S} {d} {y}", "{d} {S} {y}", "{y} {S} {d:02}", "{d} {m} {y}", "born {y}"),
            ]
        )
        return spelling.format(y=year, m=month, d=day, M=names[month - 1], S=short)

    def _place(self, case: Case) -> str:
        place = self.chance.choice([self.clinic, self.street, self.clinic.upper()])
        known = {"willowbrook", "rosenau", "beaumarchais", "larkspur", "nachtigallenweg"}
        case.gone_words |= {*folded_words(place)} & (known | {"beausejour"})
        return place

    def _anybody(self, case: Case) -> str:
        number = self.chance.randint
        stranger = self.chance.choice(STRANGERS)
        digits = f"{number(200, 999)}-{number(100, 999)}-{number(1000, 9999)}"
        said, words, run = self.chance.choice(
            [
                (f"({digits[:3]}) {digits[4:]}", "", digits),
                (f"+49 30 {number(10**6, 10**7)}", "", ""),
                (f"06 12 34 {number(10, 99)} {number(10, 99)}", "", "061234"),
                (f"SSN {digits[:3]}-{digits[4:6]}-{digits[8:]}", "", digits[8:]),
                (f"tel. {digits}", "", digits),
                (f"{stranger.lower()}@mail.example.org", stranger, "example"),
                (f"https://pacs.example.org/view?id={digits}", "", digits),
                (f"1.2.276.0.{number(10**3, 10**9)}.7.{number(1, 99)}", "", "12276"),
                (f"10.{number(0, 255)}.{number(0, 255)}.17", "", ""),
                (f"Dr. {stranger}", stranger, ""),
                (f"Frau {stranger}", stranger, ""),
                (f"Mme {stranger}", stranger, ""),
                (f"Mr. {stranger}", stranger, ""),
                (f"{stranger}, M.D.", stranger, ""),
                (f"case no. {number(1000, 99999)}", "", ""),
                (f"{number(90, 104)}-year-old", "", ""),
            ]
        )
        case.gone_words |= {*folded_words(words)}
        case.gone_runs |= {condensed(run)} - {""}
        case.gone_numbers |= {*filter(str.isdigit, folded_words(said))} - set("0123456789")
        return said


def identity_of(elements: list[El]) -> Identity:
    """As the engine gathers it."""
    form = Form(implicit=False)
    return collect(encoded.encode(elements, form), implicit=False, charsets=("ISO_IR 192",))


def test_generated_descriptors_lose_all_identifiers_and_keep_the_clinical_words() -> None:
    """400 texts of clinical phrases and identifiers in many spellings; 95 % is the promise."""
    had, kept, left = 0, 0, []
    for seed in range(400):
        case = Maker(seed).case()
        cleaned = clean(case.said, identity_of(case.elements), NO_LISTS)
        # A name that is a clinical word as well is gone from the clinical words, too.
        clinical = Counter(word for word in case.clinical if word not in case.gone_words)
        had += clinical.total()
        kept += (clinical & Counter(folded_words(cleaned))).total()
        if case.left_in(cleaned):
            left.append((seed, case.said, cleaned))

    assert left == []
    assert kept / had >= 0.95, f"{kept} of {had}"


# ---------------------------------------------------------------- one kind at a time

WHO = Identity(
    names=frozenset(
        {"doe", "jane", "hand", "obrien", "brien", "muller", "mueller", "山田", "太郎", "山田太郎"}
    ),
    identifiers=frozenset({"4711", "abc1234567"}),
    dates=frozenset({"19320405"}),
    phrases=frozenset({("general", "heart", "hospital")}),
)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_clinical_phrase_of_nobody_stays_as_it_is(phrase: str) -> None:
    """Modality, kernel, level, matrix and thickness are no identifiers."""
    assert clean(phrase, NOBODY, NO_LISTS) == phrase


def test_an_allowed_word_stays_whatever_it_is() -> None:
    """The remedy for a patient called Hand."""
    lists = Lists(allow=frozenset({"hand", "90y sirt", "20240229"}))

    cleaned = clean("Hand of Doe, 90Y SIRT 20240229", WHO, lists)

    assert cleaned == "Hand of, 90Y SIRT 20240229"


def test_an_allowed_word_saves_no_part_of_something_longer() -> None:
    """An address of e-mail stays none for the word in it."""
    lists = Lists(allow=frozenset({"hand"}))

    assert clean("liver hand@example.org", NOBODY, lists) == "liver"


def test_a_denied_word_or_phrase_goes_even_if_it_is_allowed() -> None:
    """Case and diacritics make no difference."""
    lists = Lists(allow=frozenset({"aurora"}), deny=frozenset({"aurora", "straße sieben", "東京"}))

    said = "AURORA liver Strasse Sieben, 東京病院 Strasse"

    assert clean(said, NOBODY, lists) == "liver 病院 Strasse"


@pytest.mark.parametrize(
    "unit",
    [
        *("1", "1 ", "1-", "1.", "12:", "a.", "a@", "@", "(", "Dr. ", "Dr. A ", "id a", "tel 1"),
        *("29 Feb ", "Doe ", "J. ", "(Doe", "_", "\n", "山田", "e\u0301", "https://", "12 34 "),
    ],
)
@pytest.mark.slow
def test_a_hostile_text_takes_linear_time(unit: str) -> None:
    """Four times the text takes about four times as long, not sixteen times."""
    with driving.within(20):
        clean(unit * (100_000 // len(unit)), WHO, Lists(deny=frozenset({"a b"})))


WORDS = st.sampled_from(
    [
        *("Doe", "jane", "JaneDoe", "Dr.", "J.", "MD", "Thorax", "liver", "T2", "5.0", "4711"),
        *("29", "Feb", "2024", "02", "12345678", "born", "1932", "ref:", "(", ")", "@", "x.org"),
        *(
            "山田",
            "胸部",
            "O'Brien",
            "general",
            "heart",
            "hospital",
            "92",
            "y",
            "é",
            "\u0301",
            "0",
        ),
        *(
            "0",
            "MRN",
            "tel",
            "+",
            "555",
            "1.2",
            ".3.4",
            "\u00ad",
            "ß",
            "\u0130",
            "²",
            "\uff11\uff12",
        ),
    ]
)
JOINTS = st.sampled_from(["", " ", "-", "_", ".", ", ", "/", "^", "\r\n", "'", ": ", "("])
TEXTS = st.lists(st.tuples(WORDS, JOINTS), max_size=14).map(
    lambda pairs: "".join(word + joint for word, joint in pairs)
)
LISTS = Lists(allow=frozenset({"feb", "heart"}), deny=frozenset({"liver", "general heart"}))


def is_subsequence(short: str, long: str) -> bool:
    """Whether one follows from the other by leaving characters out."""
    rest = iter(long)
    return all(character in rest for character in short)


@given(TEXTS | st.text(max_size=60))
def test_cleaning_leaves_out_and_adds_nothing(said: str) -> None:
    """The letters and digits that stay stand in their order."""
    cleaned = clean(said, WHO, LISTS)

    assert is_subsequence(
        "".join(filter(str.isalnum, cleaned)), "".join(filter(str.isalnum, said))
    )
    assert len(cleaned) <= len(said) + 1


@given(TEXTS | st.text(max_size=60))
def test_cleaning_again_changes_nothing(said: str) -> None:
    """What stays has no identifier in it."""
    cleaned = clean(said, WHO, LISTS)

    assert clean(cleaned, WHO, LISTS) == cleaned


@given(TEXTS)
def test_no_name_survives_in_any_surroundings(said: str) -> None:
    """Whatever stands around it."""
    left = set(folded_words(clean(said, WHO, NO_LISTS)))

    assert not left & {"doe", "jane", "brien", "obrien", "janedoe", "doejane"}


# ---------------------------------------------------------------- the operator

INSTEAD = LiteralText("INSTEAD")


def applied(vr: str, value: bytes, *charsets: str, who: Identity = WHO) -> bytes:
    """What the operator makes of a value."""
    context = Context(
        driving.pseudonyms(), implicit=False, charsets=charsets, identity=lambda: who
    )
    return CleanText(NO_LISTS, INSTEAD).apply(vr, value, context)


@pytest.mark.parametrize("value", [b"Thorax  nativ ", b" Knee\0", b"T2\\FLAIR ", b"^^^ "])
def test_a_value_without_identifiers_stays_byte_for_byte(value: bytes) -> None:
    """Blanks and padding too."""
    assert applied("LO", value) == value


def test_each_of_several_values_is_cleaned_on_its_own() -> None:
    """They keep their places."""
    assert applied("LO", b"Thorax\\Doe\\Dr.\\Liver ") == b"Thorax\\\\Dr.\\Liver "


def test_a_backslash_in_a_text_of_one_value_separates_nothing() -> None:
    """ST, LT and UT have one value, over several lines."""
    assert applied("LT", b"liver\\lesion\r\nof Doe.\r\n") == b"liver\\lesion\r\nof\r\n"


def test_a_value_is_read_and_written_in_the_character_set_of_the_instance() -> None:
    """A name in Latin-1 is that name; what stays is in Latin-1 again."""
    value = "Schädel Müller".encode("latin-1")

    assert applied("LO", value, "ISO_IR 100") == "Schädel ".encode("latin-1")


def test_a_name_in_iso_2022_goes_and_the_rest_is_written_with_its_escapes() -> None:
    """Escapes of PS3.5 6.1.2.5."""
    value = "胸部 山田 ".encode("iso2022_jp")

    cleaned = applied("LO", value, "", "ISO 2022 IR 87")

    assert cleaned.rstrip(b" ").decode("iso2022_jp") == "胸部"


@pytest.mark.parametrize(
    ("vr", "value", "charsets"),
    [
        ("LO", b"Doe^Jane", ()),
        ("LO", b"liver \xff\xfe Doe ", ("ISO_IR 192",)),
        ("LT", b"liver of Doe " * 90_000, ()),
        ("PN", b"Liver^Hand", ()),
        ("CS", b"LIVER ", ()),
        ("LO", "Schädel Doe".encode("latin-1"), ("ISO_IR 999",)),
        ("UT", b"Doe data:application/octet-stream;base64,AAAA ", ()),
    ],
)
def test_what_cannot_be_cleaned_is_replaced(
    vr: str, value: bytes, charsets: tuple[str, ...]
) -> None:
    """Nothing left, unreadable, too long, of no text VR, of an unknown character set."""
    cleaned = applied(vr, value, *charsets)

    assert cleaned.rstrip() == b"INSTEAD" or cleaned.isascii() is False
    assert b"Doe" not in cleaned


def test_control_characters_hide_no_name_and_go() -> None:
    """They are not allowed in the VR, and nobody sees them."""
    assert applied("LO", b"liver\tD\x01oe les\x00ion") == b"liver lesion"


def test_a_value_too_long_for_its_vr_is_shortened_when_it_is_written_anew() -> None:
    """Received so, it would be refused otherwise."""
    assert applied("SH", b"liver lesion in segment seven of Doe ") == b"liver lesion in "


def test_a_text_that_needs_a_wider_character_set_says_so() -> None:
    """The engine then writes the instance in UTF-8."""
    with pytest.raises(Unencodable):
        applied("LO", "Schädel Doe".encode("latin-1"))


# ---------------------------------------------------------------- through the engine

DESCRIPTION, COMMENTS = 0x00081030, 0x00324000


def engine_text(extra: list[El], tag: int) -> str:
    """A root text after the engine with Clean Descriptors."""
    kept = dict.fromkeys(KINDS, "keep")
    plan = compile_plan(driving.profile(options=("clean-descriptors",), burned_in=kept))
    dataset = instances.dataset(instances.small_ct(extra), EXPLICIT)
    output = driving.engine(dataset, EXPLICIT, plan=plan)
    return str(driving.read(output.file)[tag].value)


def test_the_engine_finds_the_names_of_an_instance_in_its_descriptors() -> None:
    """Physician, patient, institution and accession number of the same instance."""
    said = "Abdomen w contrast, RUTH REFERRER / doe jane, Elsewhere ACC77 PAT4711 2 Jan 2020"

    cleaned = engine_text([text(DESCRIPTION, "LO", said.replace("2 Jan 2020", ""))], DESCRIPTION)
    comments = engine_text([text(COMMENTS, "LT", said)], COMMENTS)

    assert (cleaned, comments) == ("Abdomen w contrast", "Abdomen w contrast")


def test_the_engine_finds_a_name_that_stands_in_a_nested_item() -> None:
    """Requested Procedure of a Request Attributes item, Operators in a private sequence."""
    hidden = El(0x00400275, "SQ", [[text(0x00321032, "PN", "Achterberg^Lotte")]], undefined=True)

    said = text(DESCRIPTION, "LO", "Knee MRI LOTTE ACHTERBERG")

    assert engine_text([said, hidden], DESCRIPTION) == "Knee MRI"


def test_a_descriptor_of_which_nothing_is_left_gets_what_the_profile_says() -> None:
    """Study Description is removed by the profile; cleaned, it stays and is empty."""
    assert engine_text([text(DESCRIPTION, "LO", "Doe^Jane")], DESCRIPTION) == ""


def test_the_operator_describes_itself() -> None:
    """For `check` and `preview`."""
    assert CleanText(NO_LISTS, Empty()).describe().startswith("clean")
