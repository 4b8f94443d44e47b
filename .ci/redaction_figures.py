"""Prints how good redaction is: on labelled calls, callers' answers, consultations and recordings.

`make figures`; about twenty minutes on two cores, `--part quick` two. Tables on stdout, each figure
with its target beside it, or one JSON value with `--json`; how far it is on stderr.

- `frozen`: the frozen test, calls by writers who saw neither rules nor training text.
- `calls-dev`: the evaluation calls, totals only.
- `evi`: answers of real callers as a telephone recogniser heard them.
- `corpora`: public consultations, which hold hardly any PHI: what is redacted wrongly.
- `speed`: tokens a second on one core, beside presidio's own batch engine.
- `audio`: the sample recordings, heard, redacted, and listened to again.

Labelled calls are measured three ways, and the worst counts: as they are spoken, as a large
recogniser writes them, and as the shipped recogniser hears them. What was heard is made beforehand
with `python -m qa_monitor.training.heard_forms`, because hearing takes hours.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import (
    REPOSITORY,
    Cell,
    Row,
    Section,
    Target,
    json_lines,
    print_tables,
    say,
    shipped_config,
    shipped_redactor,
    shown,
)

if TYPE_CHECKING:
    from qa_monitor.redaction import Redactor
    from qa_monitor.redaction.measure import CallCounts, RedactionTally, Share

_SEED = 31
_SPEED_TOKENS = 200_000
_QUICK_SPEED_TOKENS = 20_000
_QUICK_STEP = 8
_BATCH = 64

Call = dict[str, Any]
"""A labelled call, a line of an evaluation file."""


# --- labelled calls ------------------------------------------------------------------------------

_WAYS = ("spoken", "written", "heard")
_LOWER = "lower case"
_MEASURES: tuple[tuple[str, str, float | None], ...] = (
    ("character recall, any label", "character_recall", 0.99),
    ("digit identifiers", "digit_identifiers", 0.995),
    ("birth dates", "birth_dates", 0.995),
    ("names", "names", 0.98),
    ("spelled names", "spelled_names", 0.97),
    ("calls without any leak", "calls_without_leak", 0.9),
    ("span precision", "span_precision", 0.95),
    ("character precision", "character_precision", None),
    ("labels without a leak", "label_recall", None),
    ("type agreement", "type_agreement", None),
)


def _frozen_calls(folder: Path) -> list[Call]:
    """The calls of every writer's folder, with the writer's name."""
    from qa_monitor.training.labelled_calls import labelled_json, read_calls

    return [
        {**labelled_json(call), "writer": writer.name}
        for writer in sorted(path for path in folder.glob("*") if path.is_dir())
        for call in read_calls(writer)
    ]


def _ways(calls: Sequence[Call], heard: Path | None) -> dict[str, list[Call]]:
    """The calls each way; those heard carry what is known of the call said."""
    from qa_monitor.redaction.measure import lowered
    from qa_monitor.training.written_forms import as_written

    ways = {
        "spoken": list(calls),
        "written": [as_written(call, rng=random.Random(f"{_SEED} {call['id']}")) for call in calls],
    }
    if heard is not None and heard.exists():
        said = {call["id"]: call for call in calls}
        ways["heard"] = [
            {**said[call["id"]], **call} for call in json_lines(heard) if call["id"] in said
        ]
    ways[_LOWER] = [lowered(call) for call in calls]
    return ways


def _labelled_section(
    title: str, calls: Sequence[Call], heard: Path | None, redactor: Redactor
) -> Section:
    """All figures of labelled calls, each way."""
    from qa_monitor.redaction.measure import RedactionTally, count_redacted

    counted: dict[str, list[tuple[Call, CallCounts]]] = {}
    for way, said in _ways(calls, heard).items():
        counted[way] = [
            (call, count_redacted(call, redactor)) for call in shown(f"{title}, {way}", said)
        ]
    tallies = {way: RedactionTally([c for _, c in pairs]) for way, pairs in counted.items()}
    section = Section(f"{title}: {len(calls)} calls", tuple(tallies))
    for name, measure, least in _MEASURES:
        section.rows.append(
            Row(
                name,
                {way: _cell(tally.share(measure)) for way, tally in tallies.items()},
                None if least is None else Target(least),
                (*_WAYS, _LOWER) if measure == "names" else _WAYS,
            )
        )
    section.rows += _worst_rows(counted, tallies)
    kinds = sorted({name for tally in tallies.values() for name in tally.measures("type:")})
    section.rows += [
        Row(
            f"recall of {kind.removeprefix('type:')}",
            {way: _cell(tally.share(kind)) for way, tally in tallies.items()},
        )
        for kind in kinds
    ]
    if "heard" not in counted:
        section.notes.append(
            "Not measured as heard: make it with `python -m qa_monitor.training.heard_forms`."
        )
    elif len(counted["heard"]) < len(calls):
        section.notes.append(f"Heard: {len(counted['heard'])} of {len(calls)} calls.")
    return section


def _worst_rows(
    counted: Mapping[str, Sequence[tuple[Call, CallCounts]]], tallies: Mapping[str, RedactionTally]
) -> Iterator[Row]:
    """The type, writer, role and kind of call with the lowest recall, each way."""
    from qa_monitor.redaction.measure import RedactionTally

    for name, prefix in (("worst type", "type:"), ("worst role", "role:")):
        worst = {way: tally.worst(prefix) for way, tally in tallies.items()}
        yield Row(name, {way: _cell(w[1], of=w[0]) for way, w in worst.items() if w})
    for name, key in (("worst writer", "writer"), ("worst call type", "call_type")):
        cells: dict[str, Cell] = {}
        for way, pairs in counted.items():
            slices: dict[str, RedactionTally] = {}
            for call, counts in pairs:
                if key in call:
                    slices.setdefault(call[key], RedactionTally()).calls.append(counts)
            found = [
                _cell(tally.share("character_recall"), of=f"{slice_} ({len(tally.calls)} calls)")
                for slice_, tally in slices.items()
            ]
            known = [cell for cell in found if cell.value is not None]
            if known:
                cells[way] = min(known, key=lambda cell: cell.value or 0.0)
        if cells:
            yield Row(name, cells)


def _cell(share: Share, *, of: str = "") -> Cell:
    return Cell(share.value, share.low, share.high, share.count, of)


# --- answers of real callers ---------------------------------------------------------------------


# Heard in an answer, these are as often digits and letters: "for" four, "to" two, "are" R, "am" M.
_SOUND_LIKE_VALUES = frozenset("am are be for he in so to we you".split())


def _evi_section(folder: Path, redactor: Redactor, step: int) -> Section:
    """The answers that are clean by the rule that comes with them, and the words that stay.

    Function words count before and after the value, as far as the rule tells where it is, and not
    inside it ("the third *of* June"); an article right before the value belongs to it.
    """
    from qa_monitor.redaction.measure import labelled_dialogue, wilson

    answers = json_lines(folder / "evi-dev.jsonl")[::step]
    rule = _evi_rule(folder / "evi_leaks.py")
    clean: dict[str, list[bool]] = {}
    kept: list[bool] = []
    for answer in shown("evi", answers):
        turns = [
            {"speaker": "agent", "text": answer["prompt"]},
            {"speaker": "caller", "text": answer["text"]},
        ]
        dialogue, _ = labelled_dialogue({"id": "answer", "turns": turns})
        redacted = redactor.redact(dialogue).turns[1]
        item, gold = str(answer["item"]), answer["gold"]
        if not rule.carriers(item, gold, answer["text"]):
            continue
        clean.setdefault(item, []).append(not rule.carriers(item, gold, redacted.text))
        hidden = [(span.source_start, span.source_end) for span in redacted.spans]
        kept.extend(
            not any(start < right and end > left for left, right in hidden)
            for start, end in _words_beside(answer, rule)
        )
    section = Section(f"callers' answers (EVI): {len(answers)} turns", ("as heard",))

    def row(name: str, verdicts: Sequence[bool], target: Target | None = None) -> Row:
        found, count = sum(verdicts), len(verdicts)
        low, high = wilson(found, count)
        share = found / count if count else None
        return Row(name, {"as heard": Cell(share, low, high, count)}, target, ("as heard",))

    everything = [verdict for verdicts in clean.values() for verdict in verdicts]
    section.rows.append(row("clean turns", everything, Target(0.98)))
    section.rows.extend(row(f"clean, {item}", clean[item]) for item in sorted(clean))
    section.rows.append(row("function words that stay", kept, Target(0.9)))
    return section


def _evi_rule(script: Path) -> Any:
    """The script that comes with the answers, as a module."""
    spec = importlib.util.spec_from_file_location("evi_leaks", script)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{script.name} cannot be read")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _words_beside(answer: Mapping[str, Any], rule: Any) -> list[tuple[int, int]]:
    """Where the function words before and after the value stand."""
    from qa_monitor.redaction.measure_kept import FUNCTION_WORDS

    item, gold, text = answer["item"], answer["gold"], answer["text"].lower()
    found = list(re.finditer(r"[\w']+", text))
    told = [i for i, word in enumerate(found) if rule.carriers(item, gold, word.group().strip("'"))]
    if not told:
        return []
    first, last = told[0], told[-1]
    if first and found[first - 1].group() in {"the", "a"}:
        first -= 1
    counted = FUNCTION_WORDS - _SOUND_LIKE_VALUES
    return [
        word.span()
        for i, word in enumerate(found)
        if (i < first or i > last) and word.group() in counted
    ]


# --- public consultations ------------------------------------------------------------------------

_CORPORA_LABELS = REPOSITORY / "models/phi-tagger/corpora-phi.jsonl"
_CORPORA = ("osce-interviews", "primock57", "aci-bench")
_TEST, _ALL = "test part", "all"
_ROLES = {"doctor": "agent", "patient": "caller"}


def _corpora_section(folder: Path, labels: Path, redactor: Redactor, step: int) -> Section:
    """What is redacted wrongly in dialogues that hold hardly any PHI."""
    from qa_monitor.redaction.measure import RedactionTally, labelled_dialogue
    from qa_monitor.redaction.measure_kept import KeptTurn, count_kept
    from qa_monitor.redaction.settings import load_settings
    from qa_monitor.training.ner_data import is_training_dialogue

    phi: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
    for label in json_lines(labels) if labels.exists() else []:
        place = label["corpus"], label["id"], label["turn"]
        phi.setdefault(place, []).append((label["start"], label["end"]))
    medicines = load_settings().medicines
    tallies: dict[tuple[str, str], RedactionTally] = {}
    for corpus in _CORPORA:
        for call in shown(corpus, json_lines(folder / f"{corpus}.jsonl")[::step]):
            turns = [{**t, "speaker": _ROLES.get(t["speaker"], "unknown")} for t in call["turns"]]
            dialogue, _ = labelled_dialogue({**call, "turns": turns})
            redacted = redactor.redact(dialogue)
            counts = count_kept(
                (
                    KeptTurn(
                        said.text,
                        [(span.source_start, span.source_end) for span in turn.spans],
                        phi.get((corpus, call["id"], turn.index), ()),
                    )
                    for said, turn in zip(dialogue.turns, redacted.turns, strict=True)
                ),
                medicines,
            )
            parts = (_ALL,) if is_training_dialogue(corpus, call["id"]) else (_TEST, _ALL)
            for part in parts:
                for name in (corpus, "all three"):
                    tallies.setdefault((part, name), RedactionTally()).calls.append(counts)

    def row(
        name: str, measure: str, target: Target | None = None, *, of: str = "all three", by: int = 1
    ) -> Row:
        def cell(share: Share) -> Cell:
            value, low, high = (
                None if number is None else number * by
                for number in (share.value, share.low, share.high)
            )
            return Cell(value, low, high, share.count, places=3)

        cells = {part: cell(tallies[part, of].share(measure)) for part in (_TEST, _ALL)}
        return Row(name, cells, target, (_TEST,))

    section = Section("public consultations", (_TEST, _ALL))
    thousand = 1000
    section.rows.append(
        row("wrong words in 1,000", "wrong_words", Target(0.5, is_least=False), by=thousand)
    )
    section.rows += [
        row(f"wrong words in 1,000, {name}", "wrong_words", of=name, by=thousand)
        for name in _CORPORA
    ]
    section.rows.append(row("redacted words in 1,000", "redacted_words", by=thousand))
    at_most = Target(0.3, is_least=False)
    for kind in ("drug", "symptom", "dose"):
        section.rows.append(row(f"{kind} mentions touched, %", f"touched:{kind}", at_most, by=100))
    section.rows.append(row("all three touched, %", "touched", at_most, by=100))
    section.notes.append(
        "The test part, kept from training by is_training_dialogue, is what counts."
    )
    if not labels.exists():
        section.notes.append(
            f"Without {labels.name} every redacted word counts as wrong, names said there too."
        )
    return section


# --- speed ---------------------------------------------------------------------------------------

_ONE_THREAD = dict.fromkeys(
    "OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS RAYON_NUM_THREADS".split(), "1"
)


def _speed_section(frozen: Path, tokens: int) -> Section:
    """Speed of the redactor and of presidio's batch engine, in a process kept to one core."""
    say(f"speed: {tokens:,} tokens twice")
    measured = subprocess.run(
        [sys.executable, __file__, "--speed-alone", str(tokens), "--frozen", str(frozen)],
        env={**os.environ, **_ONE_THREAD, "TOKENIZERS_PARALLELISM": "false"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures = json.loads(measured.stdout.splitlines()[-1])
    ours, theirs = "qa_monitor", "presidio batch"
    section = Section(f"speed on one core: {figures['tokens']:,} tokens", (ours, theirs))

    def row(name: str, key: str, places: int, target: Target | None = None) -> Row:
        cells = {who: Cell(figures[who][key], places=places) for who in (ours, theirs)}
        return Row(name, cells, target, (ours,))

    section.rows += [
        row("tokens a second", "tokens_per_s", 0, Target(5000)),
        row("words a second", "words_per_s", 0),
        row("character recall, spoken", "character_recall", 4),
    ]
    section.notes.append(
        "presidio batch: BatchAnalyzerEngine with its stock recognizers for English and the spaCy "
        "pipeline of models/phi-ner, turn by turn."
    )
    return section


def _speed_alone(frozen: Path, least_tokens: int) -> dict[str, Any]:
    """The figures of one core: to be run in a process of its own, one thread each."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import torch

    torch.set_num_threads(1)
    from qa_monitor.redaction.calltext import CallText
    from qa_monitor.redaction.measure import (
        MeasuredTurn,
        RedactionTally,
        count_call,
        count_redacted,
        labelled_dialogue,
    )

    calls = _frozen_calls(frozen)
    dialogues = [labelled_dialogue(call)[0] for call in calls]
    tokens = sum(len(CallText(dialogue).tokens) for dialogue in dialogues)
    words = sum(len(turn.text.split()) for d in dialogues for turn in d.turns)
    times = -(-least_tokens // tokens)
    redactor = shipped_redactor()
    tally = RedactionTally([count_redacted(call, redactor) for call in calls])
    texts = [turn.text for dialogue in dialogues for turn in dialogue.turns]
    find = _stock_presidio()
    found = iter(find(texts))
    stock = RedactionTally()
    for call in calls:
        dialogue, labels = labelled_dialogue(call)
        stock.calls.append(
            count_call(
                [
                    MeasuredTurn(text=turn.text, role=turn.role, labels=marks, found=next(found))
                    for turn, marks in zip(dialogue.turns, labels, strict=True)
                ]
            )
        )

    def redact_all() -> None:
        for dialogue in dialogues:
            redactor.redact(dialogue)

    return {
        "tokens": tokens * times,
        **{
            name: {
                "tokens_per_s": tokens * times / seconds,
                "words_per_s": words * times / seconds,
                "character_recall": figures.share("character_recall").value,
            }
            for name, seconds, figures in (
                ("qa_monitor", _seconds(redact_all, times), tally),
                ("presidio batch", _seconds(lambda: find(texts), times), stock),
            )
        },
    }


def _seconds(work: Callable[[], object], times: int) -> float:
    """Seconds of the core, in all threads: what an idle machine's clock would show."""
    started = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - started


def _stock_presidio() -> Callable[[Sequence[str]], list[list[Any]]]:
    """What presidio finds in texts as it comes, its types as ``OTHER_ID``."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    from qa_monitor.calls import EntityType
    from qa_monitor.models import find_model
    from qa_monitor.redaction.measure import PhiLabel

    # Its e-mail recognizer would fetch the list of public suffixes.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # type: ignore[assignment]
    engine = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": str(find_model("phi-ner").resolve())}],
        }
    ).create_engine()
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    batch = BatchAnalyzerEngine(AnalyzerEngine(registry=registry, nlp_engine=engine))

    def find(texts: Sequence[str]) -> list[list[Any]]:
        return [
            [PhiLabel(result.start, result.end, EntityType.OTHER_ID) for result in results]
            for results in batch.analyze_iterator(texts, language="en", batch_size=_BATCH)
        ]

    return find


# --- sample recordings ---------------------------------------------------------------------------


def _audio_section(redactor: Redactor) -> Section:
    """What of the scripts can be read after recogniser and redaction, and heard after muting."""
    from qa_monitor.calls import EntityType, Verdict
    from qa_monitor.intake import take_in
    from qa_monitor.pipeline import (
        build_recogniser,
        decode_limits,
        hear,
        intake_rules,
        redacted_audio,
        verify_audio,
    )
    from qa_monitor.redaction.measure_left import values_left

    samples = REPOSITORY / "samples"
    scripts = {Path(call["audio"]).name: call for call in json_lines(samples / "expected.jsonl")}
    values: Counter[str] = Counter()
    readable: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        config = shipped_config(folder)
        recogniser = build_recogniser(config)
        intakes, _ = take_in([str(samples)], metadata=None, rules=intake_rules(config))
        for intake in shown("sample recordings", intakes):
            audio, transcript, dialogue = hear(
                intake, recogniser, decode_limits(config), progress=lambda *_: None
            )
            redacted = redactor.redact(dialogue)
            script = scripts[intake.path.name]
            said = [
                (EntityType(phi["type"]), phi["text"])
                for turn in script["turns"]
                for phi in turn["phi"]
            ]
            left = values_left(
                said,
                [turn.text for turn in redacted.turns],
                [_without_phi(turn) for turn in script["turns"]],
            )
            values.update(entity_type for entity_type, _ in said)
            readable.update(said[index][0] for index in left)
            quiet = redacted_audio(
                audio,
                transcript,
                redacted,
                mode=config.audio.redact_with,
                margin_s=config.audio.margin_s,
            )
            verification = verify_audio(
                intake.call_id, quiet, recogniser, redactor, redacted=redacted, original=dialogue
            )
            verdicts[verification.verdict] += 1
    column = "heard"

    def row(name: str, value: int, count: int | None = None, target: Target | None = None) -> Row:
        return Row(name, {column: Cell(value, count=count, places=0)}, target, (column,))

    calls = len(intakes)
    return Section(
        f"sample recordings: {calls} calls",
        (column,),
        [
            row(
                "values readable in the transcripts",
                readable.total(),
                values.total(),
                Target(0, is_least=False),
            ),
            *(row(f"readable {kind}", readable[kind], values[kind]) for kind in sorted(readable)),
            row("redacted sound verified clean", verdicts[Verdict.CLEAN], calls, Target(calls)),
            row("redacted sound to listen to", verdicts[Verdict.UNSURE], calls),
            row("redacted sound with a leak", verdicts[Verdict.LEAK], calls),
        ],
    )


def _without_phi(turn: Mapping[str, Any]) -> str:
    """A turn's text with a break where its values were."""
    text: str = turn["text"]
    for phi in sorted(turn["phi"], key=lambda p: -int(p["start"])):
        text = f"{text[: phi['start']]} <{phi['type']}_1> {text[phi['end'] :]}"
    return text


# --- the command ---------------------------------------------------------------------------------


_NAMES = ("frozen", "calls-dev", "evi", "corpora", "speed", "audio")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Print how good redaction is.")
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared",
                        help="folder with eval/ and corpora/")  # fmt: skip
    parser.add_argument("--frozen", type=Path, help="folder of writers' folders of calls",
                        default=REPOSITORY / "tests/frozen_calls")  # fmt: skip
    parser.add_argument("--heard", type=Path,
                        help="the frozen calls as heard; else heard.jsonl beside them")  # fmt: skip
    parser.add_argument("--heard-dev", type=Path, help="the calls of calls-dev as heard (*.jsonl)")
    parser.add_argument("--only", nargs="+", choices=_NAMES, default=_NAMES)
    parser.add_argument("--part", choices=("all", "quick"), default="all",
                        help="quick: one in eight of most, and no recordings")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON value")
    parser.add_argument("--speed-alone", type=int, metavar="TOKENS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.speed_alone:
        print(json.dumps(_speed_alone(options.frozen, options.speed_alone)))
        return
    sections = list(_sections(options))
    if options.json:
        print(json.dumps([section.as_dict() for section in sections], indent=1))
    else:
        print_tables(sections)


def _sections(options: argparse.Namespace) -> Iterator[Section]:
    """The sections asked for, as far as what they measure on is there."""
    is_quick = options.part == "quick"
    step = _QUICK_STEP if is_quick else 1
    evaluation, frozen = options.shared / "eval", options.frozen
    needs = {
        "frozen": frozen,
        "calls-dev": evaluation / "calls-dev.jsonl",
        "evi": evaluation / "evi-dev.jsonl",
        "corpora": options.shared / "corpora",
        "speed": frozen,
        "audio": REPOSITORY / "samples",
    }
    redactor = shipped_redactor()
    for name in _NAMES:
        if name not in options.only or (is_quick and name == "audio"):
            continue
        if not needs[name].exists():
            yield Section(name, notes=[f"Not measured: {needs[name].name} is not there."])
            continue
        match name:
            case "frozen":
                heard = options.heard or frozen / "heard.jsonl"
                yield _labelled_section("frozen test", _frozen_calls(frozen)[::step], heard,
                                        redactor)  # fmt: skip
            case "calls-dev":
                calls = json_lines(needs[name])
                yield _labelled_section(name, calls, options.heard_dev, redactor)
            case "evi":
                yield _evi_section(evaluation, redactor, step)
            case "corpora":
                yield _corpora_section(needs[name], _CORPORA_LABELS, redactor, step)
            case "speed":
                yield _speed_section(frozen, _QUICK_SPEED_TOKENS if is_quick else _SPEED_TOKENS)
            case "audio":
                yield _audio_section(redactor)


if __name__ == "__main__":
    main()
