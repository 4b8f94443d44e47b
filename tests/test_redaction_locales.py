"""What is promised of locale files: read, merged, checked, and enough to add a language."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, Role, Turn
from qa_monitor.errors import ConfigError
from qa_monitor.redaction import PresidioRedactor, locales
from qa_monitor.redaction.calltext import CallText
from qa_monitor.redaction.checksums import CHECKSUMS
from qa_monitor.redaction.dates import find_dates
from qa_monitor.redaction.expectation import asked_for, find_cues
from qa_monitor.redaction.locales import Locale, default_locale, load_locales
from qa_monitor.redaction.places import find_named_places
from qa_monitor.redaction.settings import DEFAULT_FILE, load_settings
from qa_monitor.redaction.spoken import find_runs
from qa_monitor.redaction.vocabulary import phrase_pattern

MODEL = Path(__file__).parents[1] / "models" / "phi-ner"
SHIPPED = Path(locales.__file__).with_name("locales")


def dialogue(*texts: str) -> Dialogue:
    """Turns by agent and caller in alternation."""
    return Dialogue(
        call_id="c",
        language="en",
        asr_model="t",
        dropped_s=0.0,
        turns=tuple(
            Turn(
                index=index,
                speaker=("agent", "caller")[index % 2],
                role=(Role.AGENT, Role.CALLER)[index % 2],
                role_confidence=1.0,
                start_s=None,
                end_s=None,
                text=text,
            )
            for index, text in enumerate(texts)
        ),
    )


def runs(locale: Locale, text: str) -> list[str]:
    return [run.chars for run in find_runs(CallText(dialogue(text), locale))]


def dates(locale: Locale, text: str) -> list[tuple[str, str | None]]:
    call = CallText(dialogue(text), locale)
    return [(call.text[f.start : f.end], f.value) for f in find_dates(call)]


@pytest.fixture(scope="module")
def redactor() -> PresidioRedactor:
    return PresidioRedactor(MODEL)


# --- what comes with the product -----------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_locale_is_read_by_its_name(path: Path) -> None:
    locale = load_locales([path.stem])
    assert locale.codes == (path.stem,)
    assert locale.language == "en"


@pytest.mark.parametrize("order", [("en-US", "en-GB"), ("en-GB", "en-US")])
def test_words_of_both_countries_are_understood_whichever_is_first(order: tuple[str, str]) -> None:
    locale = load_locales(order)
    assert runs(locale, "treble five nought, zed k, zee oh one") == ["5550zkz01"]
    assert "labor day" in locale.dates.holidays
    assert "boxing day" in locale.dates.holidays


def test_the_first_locale_s_order_of_day_and_month_holds() -> None:
    american, british = load_locales(["en-US", "en-GB"]), load_locales(["en-GB", "en-US"])
    for text in ("3/4/1982", "03-04-82"):
        assert dates(american, text) == [(text, "3-4-82")]
        assert dates(british, text) == [(text, "4-3-82")]
    assert dates(american, "14/3/82") == dates(british, "14/3/82") == [("14/3/82", "3-14-82")]
    assert dates(british, "on 14/3") == [("14/3", "3-14-")]
    assert dates(american, "on 3/14") == [("3/14", "3-14-")]


def test_one_country_alone_knows_nothing_of_the_other() -> None:
    american, british = load_locales(["en-US"]), load_locales(["en-GB"])
    assert {"written_us_phone", "written_zip"} <= {p.name for p in american.patterns}
    assert not {"written_us_phone", "written_zip"} & {p.name for p in british.patterns}
    assert not american.values.postcode.fullmatch("ls213dw")
    assert british.values.postcode.fullmatch("ls213dw")
    assert find_named_places(CallText(dialogue("i was at tesco"), british))
    assert not find_named_places(CallText(dialogue("i was at tesco"), american))


def test_a_locale_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        default_locale().dates.order = "day first"  # type: ignore[misc]


def test_every_key_of_a_locale_is_read_by_something() -> None:
    folder = SHIPPED.parent
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    keys = {
        key.name
        for section in dataclasses.fields(Locale)
        if dataclasses.is_dataclass(part := getattr(default_locale(), section.name))
        for key in dataclasses.fields(part)
    }
    assert {key for key in keys if not re.search(rf"\.{key}\b", source)} == set()


def test_a_section_says_in_the_common_file_all_keys_there_are() -> None:
    common = load_locales(["en"])
    by_country = {"order", "chains", "ordinary_chains", "postcodes"}
    empty = {
        key.name
        for section in dataclasses.fields(Locale)
        if dataclasses.is_dataclass(part := getattr(common, section.name))
        for key in dataclasses.fields(part)
        if not getattr(part, key.name)
    }
    assert empty == by_country


# --- written values of the countries -------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer", "entity"),
    [
        ("Anything else?", "my NI number is QQ 12 34 56 C", None),
        ("Anything else?", "it says AB 12 34 56 C", "SSN"),
        ("Your National Insurance number?", "AB123456C", "SSN"),
        ("And your NHS number?", "943 476 5919", "MRN"),
        ("Anything else?", "the NHS number is 943 476 5919", "MRN"),
        ("Which sort code?", "12-34-56", "ACCOUNT"),
        ("Best number?", "020 7946 0018", "PHONE"),
        ("Best number?", "07700 900123", "PHONE"),
        ("Your Medicare number?", "1EG4-TE5-MK73", "MEMBER_ID"),
        ("Anything else?", "it is 1EG4TE5MK73", "MEMBER_ID"),
        ("The NPI, please?", "1234567893", "OTHER_ID"),
        ("And the DEA number?", "AB1234563", "LICENSE"),
        ("Zip?", "45202-1234", "LOCATION"),
    ],
)
def test_numbers_of_both_countries_are_redacted_as_written(
    redactor: PresidioRedactor, question: str, answer: str, entity: str | None
) -> None:
    turn = redactor.redact(dialogue(question, answer)).turns[1]
    assert not any(c.isdigit() for c in re.sub(r"<[A-Z_]+_\d+>", "", turn.text))
    if entity is not None:
        assert [span.entity_type for span in turn.spans] == [EntityType(entity)]


def test_a_number_with_a_wrong_check_digit_is_not_taken_for_another(
    redactor: PresidioRedactor,
) -> None:
    right = redactor.redact(dialogue("Anything else?", "it is 943 476 5919 she said"))
    wrong = redactor.redact(dialogue("NHS number or phone?", "phone, 617 555 0142"))
    assert right.turns[1].spans[0].entity_type is EntityType.PHONE
    assert wrong.turns[1].spans[0].entity_type is EntityType.PHONE


def test_a_dea_number_is_told_by_its_last_digit() -> None:
    assert [d for d in "0123456789" if CHECKSUMS["dea"](f"AB123456{d}")] == ["3"]
    assert not CHECKSUMS["dea"]("AB3")


@pytest.mark.parametrize(
    ("name", "number"),
    [("nhs", "943 476 5919"), ("npi", "1234567893"), ("luhn", "4539 1488 0343 6467")],
)
@given(data=st.data())
def test_one_wrong_digit_never_stands_the_check(
    name: str, number: str, data: st.DataObject
) -> None:
    assert CHECKSUMS[name](number)
    places = [i for i, c in enumerate(number) if c.isdecimal()]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != number[place]]))
    assert not CHECKSUMS[name](number[:place] + digit + number[place + 1 :])


# --- a locale of one's own -----------------------------------------------------------------------

SPANISH = """
language = "es"
[numbers]
joints = "y"
hundred = "cien ciento"
thousand = "mil"
repeats = { 2 = "doble" }
words = { 0 = "cero", 1 = "uno un", 3 = "tres", 5 = "cinco", 6 = "seis", 7 = "siete", 82 = "" }
[letters]
tellers = "de"
words = "a y o e"
[dates]
order = "day first"
months = { 3 = "marzo" }
of = "de del"
before_year = "de del"
[cues]
DATE = ["fecha de nacimiento"]
PHONE = ["número de teléfono"]
[questions]
asks = ["cuál es"]
[questions.narrow]
DATE = ["nacimiento"]
[[patterns]]
name = "written_curp"
entity = "OTHER_ID"
score = 0.9
regex = '\\b[A-Z]{4}\\d{6}[HM][A-Z]{5}[A-Z\\d]\\d\\b'
"""


@pytest.fixture
def spanish(tmp_path: Path) -> Path:
    path = tmp_path / "es-US.toml"
    path.write_text(SPANISH.replace(', 82 = ""', ""), encoding="utf-8")
    return path


def test_a_language_is_added_by_a_file_alone(spanish: Path) -> None:
    locale = load_locales(["es-US.toml"], folder=spanish.parent)
    assert (locale.codes, locale.language) == (("es-US",), "es")
    assert runs(locale, "seis uno siete, doble cinco, cero") == ["617550"]
    assert runs(locale, "V de Vaca, siete tres") == ["v73"]
    assert dates(locale, "el 3 de marzo de 1982") == [("3 de marzo de 1982", "3-3-82")]
    assert dates(locale, "nací 3/4/1982") == [("3/4/1982", "4-3-82")]
    assert runs(locale, "six one seven") == []
    call = CallText(dialogue("¿Cuál es su fecha de nacimiento?", "tres"), locale)
    assert [cue.entity_type for cue in find_cues(call)[0]] == [EntityType.DATE]
    assert asked_for(call, 1) == {EntityType.DATE}


def test_a_language_is_understood_beside_english(spanish: Path) -> None:
    locale = load_locales(["en-US", str(spanish)])
    assert (locale.codes, locale.language) == (("en-US", "es-US"), "en")
    assert runs(locale, "six uno seven and seis uno siete") == ["617", "617"]
    assert dates(locale, "born 3/4/1982") == [("3/4/1982", "3-4-82")]
    assert {"written_ssn", "written_curp"} <= {pattern.name for pattern in locale.patterns}


def test_a_file_extends_a_locale_and_its_own_words_come_first(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'extends = ["en-GB"]\n[numbers.words]\n7 = "OH"\n[dates]\norder = "month first"\n'
        '[talk]\nfillers = "ehm"\n'
        '[[patterns]]\nname = "written_postcode"\nentity = "OTHER_ID"\nscore = 0.4\nregex = "x"\n',
        encoding="utf-8",
    )
    locale = load_locales(["own.toml"], folder=tmp_path)
    assert locale.numbers.words["oh"] == 7
    assert locale.numbers.words["four"] == 4
    assert not locale.dates.is_day_first
    assert {"ehm", "uh"} <= locale.talk.fillers
    (postcode,) = (p for p in locale.patterns if p.name == "written_postcode")
    assert (postcode.entity_type, postcode.regex) == (EntityType.OTHER_ID, "x")


def test_what_a_country_says_comes_before_what_the_language_says(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('language = "xx"\n[dates.months]\n1 = "jan"\n')
    (tmp_path / "a.toml").write_text('extends = "base.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "base.toml"\n[dates.months]\n2 = "jan"\n')
    locale = load_locales(["a.toml", "b.toml"], folder=tmp_path)
    assert locale.dates.months == {"jan": 2}


def test_a_locale_of_one_s_own_is_named_by_its_path_from_the_recognizers_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "words.toml").write_text(
        'extends = "en-US"\n[organisations]\nchains = ["bluebird health"]\n'
        '[cues]\nOTHER_ID = ["locker"]\n',
        encoding="utf-8",
    )
    own = tmp_path / "own.toml"
    shipped = DEFAULT_FILE.read_text(encoding="utf-8")
    own.write_text(
        shipped.replace('locales = ["en-US", "en-GB"]', 'locales = ["words.toml"]'),
        encoding="utf-8",
    )
    redacted = PresidioRedactor(MODEL, recognizers_file=own).redact(
        dialogue("Which locker?", "four two seven", "And the payer?", "it is bluebird health")
    )
    assert redacted.turns[1].text == "<OTHER_ID_1>"
    assert redacted.turns[3].text == "it is <ORGANIZATION_1>"


# --- mistakes ------------------------------------------------------------------------------------


def test_an_unknown_locale_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"No locale is called fr-CA; there are en, en-GB, en-US"):
        load_locales(["en-US", "fr-CA"])
    with pytest.raises(ConfigError, match="No locale is named"):
        load_locales([])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("language = ", "is not TOML"),
        ("\xff", "is not UTF-8"),
        ("[numbers]\n", "says no language"),
        ("[moons]\n", "the file has no moons; there are .*months|the file has no moons"),
        ('[dates]\nmoons = "a"\n', r"\[dates\] has no moons; there are .*months"),
        ("numbers = 3\n", r"\[numbers\] is a table"),
        ("[talk]\nfillers = 3\n", "talk.fillers is a list of strings"),
        ('[talk]\nfillers = ["uh", 3]\n', "talk.fillers is a list of strings"),
        ('[dates]\nholidays = "easter"\n', "dates.holidays is a list of strings"),
        ('[dates.months]\nthree = "march"\n', "dates.months is a table of numbers"),
        ('[dates]\norder = "year first"\n', 'dates.order is "month first" or "day first"'),
        ('[cues]\nNAME = ["name"]\n', "no entity is called NAME; there are PERSON"),
        ('[cues]\nPERSON = ["re:x?"]\n', "cues.PERSON .* it matches where nothing is"),
        ('[cues]\nPERSON = ["re:("]\n', "cues.PERSON is no regular expression of use"),
        ('[values]\npostcodes = ["re:("]\n', "values.postcodes is no regular expression of use"),
        ('[talk]\ncommon_words = ["none.txt"]\n', "none.txt cannot be read"),
        ("language = 3\n", "language is a string"),
        ("patterns = 3\n", r"patterns are written as \[\[patterns\]\]"),
        ('[[patterns]]\nname = "a"\n', "number 1 lacks entity, regex, score"),
        ('extends = "own.toml"\n', "extends itself"),
        ('extends = "none.toml"\n', "none.toml cannot be read"),
        ('extends = "en-XX"\n', "No locale is called en-XX"),
    ],
)
def test_a_mistake_in_a_locale_file_is_told_with_its_place(
    tmp_path: Path, content: str, told: str
) -> None:
    (tmp_path / "own.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=told) as caught:
        load_locales(["own.toml"], folder=tmp_path)
    assert caught.value.__context__ is None


PATTERN = {"name": '"p"', "entity": '"SSN"', "score": "0.5", "regex": "'x'"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"entity": '"NI"'}, "p: entity: no entity is called NI"),
        ({"score": "1.5"}, "p: score is a number from 0 to 1"),
        ({"score": "true"}, "p: score is a number from 0 to 1"),
        ({"regex": "'('"}, "p: regex is no regular expression of use"),
        ({"check": '"mod97"'}, "p: check has no mod97; there are .*nhs"),
        ({"colour": '"red"'}, "number 1 has no colour"),
    ],
)
def test_a_mistake_in_a_pattern_is_told_in_either_file(
    tmp_path: Path, change: dict[str, str], told: str
) -> None:
    pattern = "\n".join(f"{key} = {value}" for key, value in (PATTERN | change).items())
    (tmp_path / "own.toml").write_text(f'language = "en"\n[[patterns]]\n{pattern}\n')
    with pytest.raises(ConfigError, match=told):
        load_locales(["own.toml"], folder=tmp_path)
    shipped = DEFAULT_FILE.read_text(encoding="utf-8")
    (tmp_path / "rec.toml").write_text(f"{shipped}\n[[patterns]]\n{pattern}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_settings(tmp_path / "rec.toml")


def test_two_patterns_of_one_name_are_refused(tmp_path: Path) -> None:
    pattern = "[[patterns]]\n" + "\n".join(f"{key} = {value}" for key, value in PATTERN.items())
    (tmp_path / "own.toml").write_text(f'language = "en"\n{pattern}\n{pattern}\n')
    with pytest.raises(ConfigError, match="two patterns are called p"):
        load_locales(["own.toml"], folder=tmp_path)


# --- the recognizers file ------------------------------------------------------------------------


def settings_file(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "rec.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"en-GB"]', '"en-AU"]', "No locale is called en-AU"),
        ('locales = ["en-US", "en-GB"]', "locales = []", "No locale is named"),
        ('locales = ["en-US", "en-GB"]', "locales = 3", "locales is a list of strings"),
        ("[allow]\n", "[allow]\nname = []\n", r"\[allow\] has no name; there are medicines"),
        ("[deny]\n", '[deny]\nPERSON = "x"\n', "deny.PERSON is a list of strings"),
        ("[deny]\n", "[quantities]\nafter = []\n[deny]\n", "the file has no quantities"),
        ("[recognizers]\n", "[recognizers]\nspoken = true\n", r"\[recognizers\] has no spoken"),
        ("[recognizers]\n", "[recognizers]\nwritten_ssn = 1\n", "written_ssn is true or false"),
        ("AGE = { enabled = true", "AGE = { enabled = 1", "AGE.enabled is true or false"),
        ("AGE = {", "AGES = {", "no entity is called AGES"),
        ("AGE = { enabled = true, threshold = 0.5", "AGE = { threshold = 5", "from 0 to 1"),
        ("[entities]", "[things]", "the file has no things"),
    ],
)
def test_a_mistake_in_the_recognizers_file_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        load_settings(settings_file(tmp_path, (old, new)))


def test_a_written_pattern_is_turned_off_by_its_name(tmp_path: Path) -> None:
    settings = load_settings(
        settings_file(tmp_path, ("[recognizers]\n", "[recognizers]\nwritten_sort_code = false\n"))
    )
    names = {pattern.name for pattern in settings.patterns}
    assert "written_sort_code" not in names
    assert "written_ni_number" in names


def test_what_the_recognizers_file_leaves_out_is_redacted(tmp_path: Path) -> None:
    line = "AGE = { enabled = true, threshold = 0.5 }\n"
    settings = load_settings(settings_file(tmp_path, (line, ""), ("spoken_ages = true", "#")))
    assert settings.thresholds[EntityType.AGE] == 0.5
    assert "spoken_ages" in settings.recognizers


def test_what_is_allowed_stays_and_what_is_denied_goes_whatever_the_locale_says(
    tmp_path: Path,
) -> None:
    settings = load_settings(
        settings_file(
            tmp_path,
            ("words = []", 'words = ["Bluebird"]'),
            ("values = []", 'values = ["0800"]'),
            ("[deny]\n", '[deny]\nLOCATION = ["Ohio"]\nOTHER_ID = ["411"]\n'),
        )
    )
    assert {"bluebird", "medicare", "nhs"} <= settings.allowed_words
    assert "ohio" not in settings.allowed_words
    assert {"0800", "911", "999"} <= settings.allowed_values
    assert "411" not in settings.allowed_values
    assert settings.denied[EntityType.LOCATION] == ("ohio",)


# --- phrases -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("your date of birth", "date of birth"),
        ("your date, of, birth?", "date of birth"),
        ("candidate of birth", None),
        ("a date-of-birth", "date of birth"),
        ("dob", "d o b"),
        ("birthdate", None),
    ],
)
def test_phrases_match_whole_words_over_any_mark(text: str, found: str | None) -> None:
    pattern = phrase_pattern(("date of birth", r"re:d\.?o\.?b", "birth date"))
    assert (pattern.search(text) is not None) == (found is not None)


@given(st.text(max_size=40))
def test_no_phrases_match_nothing(text: str) -> None:
    assert phrase_pattern(()).search(text) is None
