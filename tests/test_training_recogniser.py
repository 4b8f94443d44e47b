"""What the making of the embedded recogniser promises, without training one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.training.recogniser import lines, speech, text
from qa_monitor.training.recogniser.batches import (
    IGNORED,
    Batch,
    Mix,
    Shards,
    Windows,
    token_spans,
)
from qa_monitor.training.recogniser.fit import learning_rate_factor, losses
from qa_monitor.training.recogniser.network import Network, Shape
from qa_monitor.training.recogniser.tokens import TEXT_TOKENS, Vocabulary, train_tokeniser
from qa_monitor.training.voices import HELD_OUT_VOICES, SAMPLE_VOICES, installed

# --- text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("Hello, how are you?", "hello how are you"),
        ("hi diane , how are you ?", "hi diane how are you"),
        ("Mr. O'Brien didn't come.", "mister o'brien didn't come"),
        ("a 37-year-old", "a thirty seven year old"),
        ("98.6 degrees", "ninety eight point six degrees"),
        ("1 to 10", "one to ten"),
        ("at 10:30", "at ten thirty"),
        ("at 9:05", "at nine oh five"),
        ("in 2008", "in two thousand eight"),
        ("in 1982", "in nineteen eighty two"),
        ("the 23rd", "the twenty third"),
        ("call 5550142", "call five five five zero one four two"),
        ("$1,250", "one thousand two hundred fifty dollars"),
        ("140/90", "one hundred forty over ninety"),
        ("an MRI and a CT", "an m r i and a c t"),
        ("that's K A R I M", "that's k a r i m"),
        ("it is n't gon na work", "it isn't gonna work"),
        ("OK, Dr. Lee", "okay doctor lee"),
        ("50 mg", "fifty milligrams"),
        ("café", "cafe"),
        ("it\u2019s \u2014 well \u2014 fine", "it's well fine"),
    ],
)
def test_text_is_written_as_it_is_heard(written: str, heard: str) -> None:
    line = text.speakable(written)
    assert line is not None
    assert line.text == heard


@given(st.text(max_size=80))
def test_any_text_gives_matching_tokens_and_plain_words(written: str) -> None:
    line = text.speakable(written)
    if line is None:
        return
    assert len(line.tokens) == len(line.words) == len(line.spoken.split())
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz'") for word in line.words)
    assert all(any(character.isalpha() for character in word) for word in line.words)


def test_punctuation_is_spoken_to_the_voice_only() -> None:
    line = text.speakable("Well , I think so . Do you ?")
    assert line is not None
    assert line.spoken == "Well, I think so. Do you?"


@given(st.integers(0, 999_999))
def test_numbers_are_said_differently_from_each_other(number: int) -> None:
    assert text.cardinal(number) != text.cardinal(number + 1 if number < 999_999 else 0)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "first"),
        (12, "twelfth"),
        (20, "twentieth"),
        (31, "thirty first"),
        (100, "one hundredth"),
    ],
)
def test_ordinals(number: int, said: str) -> None:
    assert text.ordinal(number) == said


@given(
    st.lists(st.sampled_from("yes, no. maybe okay um? appointment".split()), min_size=1),
    st.integers(0, 99),
)
def test_pieces_hold_every_word_once_in_order(words: list[str], seed: int) -> None:
    line = text.speakable(" ".join(words))
    assert line is not None
    cut = list(text.pieces(line, np.random.default_rng(seed)))
    assert tuple(itertools.chain.from_iterable(piece.words for piece in cut)) == line.words
    assert all(piece.words for piece in cut)
    assert all(text.seconds(piece) < 19.0 for piece in cut)


def test_a_dialogue_is_in_one_part_and_most_are_trained_on() -> None:
    parts = [text.part_of(f"corpus/{number}") for number in range(2000)]
    assert parts == [text.part_of(f"corpus/{number}") for number in range(2000)]
    assert 0.75 < parts.count("train") / 2000 < 0.85
    assert parts.count("test") > 100


def test_written_calls_lose_their_labels_and_folder_e_is_never_read(tmp_path: Path) -> None:
    call = (
        "=== {id}\ncall_type: billing\nnotes: agent: not a turn\n---\n"
        "agent {{chk=greeting}}: Thank you, [Fairlawn|ORGANIZATION], this is [Denise|PERSON].\n"
        "caller: it's [four one|PHONE]\n"
    )
    for folder in "ae":
        (tmp_path / folder).mkdir()
        calls = "".join(call.format(id=f"{folder}{number}") for number in range(30))
        (tmp_path / folder / "01.txt").write_text(calls)
    trained = [line.text for line in text.call_turns(tmp_path, "train")]
    tested = [line.text for line in text.call_turns(tmp_path, "test")]
    kept = [line.text for line in text.call_turns(tmp_path, "dev")]
    assert set(trained) == {"thank you fairlawn this is denise", "it's four one"}
    assert len(trained) + len(tested) + len(kept) == 60


# --- invented lines --------------------------------------------------------------------


def test_invented_lines_are_words_with_every_slot_filled() -> None:
    rng = np.random.default_rng(1)
    for part in ("train", "test"):
        for _ in range(400):
            line = lines.draw_line(rng, part)
            assert not set(line) & set("{}|0123456789")
            assert "  " not in line
            assert text.speakable(line) is not None


def test_test_fillings_are_never_in_training() -> None:
    for kind in ("first", "last", "town", "streetname", "org", "drug", "template"):
        trained, tested = (set(lines._parted(kind, part)) for part in ("train", "test"))
        assert trained
        assert tested
        assert not trained & tested


def test_every_slot_of_every_template_can_be_filled() -> None:
    filler = lines._Filler(np.random.default_rng(0), "train")
    for template in lines._TEMPLATES:
        for name in template.split("{")[1:]:
            assert filler.fill(name.partition("}")[0])


# --- vocabulary ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokeniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    drawn = (text.speakable(lines.draw_line(rng)) for _ in range(3000))
    path = tmp_path_factory.mktemp("tokeniser") / "tokenizer.json"
    train_tokeniser([line.text for line in drawn if line is not None], path)
    return path


@pytest.fixture(scope="module")
def vocabulary(tokeniser: Path) -> Vocabulary:
    return Vocabulary(tokeniser)


def test_tokens_lie_in_the_order_that_decoders_assume(vocabulary: Vocabulary) -> None:
    assert vocabulary.end == TEXT_TOKENS
    specials = [
        vocabulary.start,
        vocabulary.previous,
        vocabulary.no_speech,
        vocabulary.no_timestamps,
    ]
    assert vocabulary.end < min(specials)
    assert max(specials) == vocabulary.no_timestamps
    assert vocabulary.timestamp(0.0) == vocabulary.no_timestamps + 1
    assert vocabulary.timestamp(30.0) == len(vocabulary) - 1


@settings(max_examples=60)
@given(words=st.lists(st.from_regex(r"[a-z]+('[a-z]+)?", fullmatch=True), max_size=8))
def test_words_come_back_from_their_tokens(vocabulary: Vocabulary, words: list[str]) -> None:
    spoken = " ".join(words)
    assert vocabulary.decode(vocabulary.encode(spoken)) == spoken


@given(time_s=st.floats(-5.0, 60.0))
def test_a_timestamp_is_near_its_time_and_never_leaves_the_window(
    vocabulary: Vocabulary, time_s: float
) -> None:
    told_s = (vocabulary.timestamp(time_s) - vocabulary.timestamp(0.0)) * 0.02
    assert told_s == pytest.approx(min(30.0, max(0.0, time_s)), abs=0.0101)


def test_what_faster_whisper_suppresses_is_not_needed_for_words(tokeniser: Path) -> None:
    from faster_whisper.tokenizer import Tokenizer as WhisperTokenizer
    from tokenizers import Tokenizer

    hugging_face = Tokenizer.from_file(str(tokeniser))
    suppressed = set(WhisperTokenizer(hugging_face, multilingual=False).non_speech_tokens)
    words = [*lines._FIRST, *lines._LAST, *"i'm it's don't oh a b c x ray".split()]
    for word in words:
        assert not suppressed & set(hugging_face.encode(f" {word.lower()}").ids), word


def test_too_little_text_for_a_vocabulary_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more text"):
        train_tokeniser(["hello there"], tmp_path / "tokenizer.json")


# --- windows ---------------------------------------------------------------------------


SHARD_WORDS = "hello thank you for calling my number is five appointment".split()


def make_shard(folder: Path, number: int, count: int, seed: int = 0) -> None:
    """Write a shard of noise that claims to be speech."""
    rng = np.random.default_rng(seed)
    words = SHARD_WORDS
    mels, records, row = [], [], 0
    for _ in range(count):
        said = [words[int(i)] for i in rng.integers(len(words), size=int(rng.integers(1, 9)))]
        rows = 30 * len(said) + int(rng.integers(20, 60))
        starts: list[float | None] = [0.1 + 0.3 * index for index in range(len(said))]
        if rng.random() < 0.2:
            starts[0] = None
        mels.append(rng.normal(-3.0, 1.0, (rows, 80)).astype(np.float16))
        records.append({"row": row, "rows": rows, "text": " ".join(said), "starts_s": starts})
        row += rows
    np.concatenate(mels).tofile(folder / f"{number:04d}.mel")
    listing = "".join(json.dumps(record) + "\n" for record in records)
    (folder / f"{number:04d}.jsonl").write_text(listing)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory, vocabulary: Vocabulary) -> Windows:
    folder = tmp_path_factory.mktemp("shards")
    make_shard(folder, 0, 80)
    return Windows(Shards(folder, vocabulary), vocabulary, seed=0)


def test_shards_finished_later_are_taken_in(tmp_path: Path, vocabulary: Vocabulary) -> None:
    make_shard(tmp_path, 0, 5)
    shards = Shards(tmp_path, vocabulary)
    (tmp_path / "0001.mel").write_bytes(b"")  # begun, without a list: not finished
    assert not shards.refresh()
    make_shard(tmp_path, 2, 7)
    assert shards.refresh()
    assert len(shards.utterances) == 12
    assert shards.mel(shards.utterances[-1]).shape == (shards.utterances[-1].rows, 80)


@given(
    spoken=st.lists(st.sampled_from("hello appointment zzyzx i".split()), min_size=1, max_size=6),
    known=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_token_times_follow_the_words(
    vocabulary: Vocabulary, spoken: list[str], known: list[bool]
) -> None:
    starts = [0.4 * i if known[i] else None for i in range(len(spoken))]
    tokens, spans = token_spans(" ".join(spoken), starts, 0.4 * len(spoken), vocabulary)
    assert len(tokens) == len(spans)
    timed = [span for span in spans if span is not None]
    assert all(begin < end for begin, end in timed)
    assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(timed))


MIXES = [
    Mix(timestamps=0.0),
    Mix(timestamps=1.0),
    Mix(timestamps=0.5, cut=1.0),
    Mix(timestamps=0.5, prompted=1.0, padded=1.0),
    Mix(noise=1.0),
]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("frames", [300, 1000, 3000])
def test_a_window_asks_for_what_is_given_next(
    windows: Windows, vocabulary: Vocabulary, frames: int, mix: Mix
) -> None:
    for _ in range(8):
        window = windows.window(frames, mix)
        assert window.mel.shape == (frames, 80)
        assert len(window.tokens) == len(window.targets) == len(window.spans_s)
        assert window.targets[-1] == vocabulary.end
        asked = [
            (given, target)
            for given, target in zip(window.tokens[1:], window.targets[:-1], strict=True)
            if target != IGNORED
        ]
        assert all(given == target for given, target in asked)
        written = [target for target in window.targets if 0 <= target < vocabulary.end]
        words = vocabulary.decode(written).split()
        assert bool(words) == (mix.noise < 1.0)
        assert set(words) <= set(SHARD_WORDS)
        spans = [span for span in window.spans_s if span is not None]
        assert all(0 <= begin < end <= frames / 100 + 0.5 for begin, end in spans)


def test_a_prompt_and_the_choice_of_no_timestamps_are_never_asked_for(
    windows: Windows, vocabulary: Vocabulary
) -> None:
    for _ in range(10):
        window = windows.window(1000, Mix(timestamps=0.0, prompted=1.0))
        assert vocabulary.previous in window.tokens
        assert vocabulary.no_timestamps not in window.targets
        first = next(i for i, target in enumerate(window.targets) if target != IGNORED)
        assert window.tokens[first] == vocabulary.no_timestamps


def test_noise_is_labelled_as_no_speech(windows: Windows, vocabulary: Vocabulary) -> None:
    window = windows.window(500, Mix(noise=1.0))
    assert window.targets == [vocabulary.no_speech, vocabulary.end]


@settings(max_examples=20, deadline=None)
@given(frames=st.sampled_from([300, 500, 1000]))
def test_batches_are_whole(windows: Windows, vocabulary: Vocabulary, frames: int) -> None:
    batch: Batch = windows.batch(4000, frames, Mix(timestamps=0.5, cut=0.3, noise=0.05))
    count = 4000 // frames
    assert batch.mel.shape == (count, frames, 80)
    assert batch.frame_targets.shape == (count, frames // 2)
    assert batch.tokens.shape == batch.targets.shape == batch.spans_s.shape[:2]
    assert batch.tokens.shape[1] % 8 == 0
    assert int(batch.frame_targets.max()) <= vocabulary.end
    assert bool(torch.isfinite(batch.mel).all())
    # Where nothing is asked for, nothing is looked for either.
    assert bool((batch.targets[batch.spans_s[:, :, 0] >= 0] < vocabulary.end).all())


# --- network and schedule --------------------------------------------------------------


def test_the_loss_of_a_small_network_falls(windows: Windows, vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    shape = Shape(len(vocabulary), vocabulary.end, 32, 2, 2, 2)
    network = Network(shape)
    batch = windows.batch(1200, 300, Mix(timestamps=0.0))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    sums = []
    for _ in range(12):
        parts = losses(network, batch)
        loss = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        sums.append(float(loss.detach()))
    assert {"words", "frames", "look"} <= set(parts)
    assert sums[-1] < 0.8 * sums[0]


def test_attention_is_the_same_by_either_way(vocabulary: Vocabulary) -> None:
    """Long windows use the fused kernel, short ones keep the weights: same numbers."""
    from qa_monitor.training.recogniser import network as module

    torch.manual_seed(0)
    network = Network(Shape(len(vocabulary), vocabulary.end, 32, 2, 2, 2)).eval()
    mel, tokens = torch.randn(2, 120, 80), torch.randint(0, 900, (2, 7))
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        logits, seen = network.write(tokens, network.hear(mel), look=True)
        patch.setattr(module, "_LONG", 10)
        again, seen_again = network.write(tokens, network.hear(mel), look=True)
    assert torch.allclose(logits, again, atol=1e-4)
    assert seen is not None
    assert seen_again is not None
    assert seen.shape == (2, 3, 7, 60)
    assert torch.allclose(seen, seen_again, atol=1e-4)
    assert torch.allclose(seen.sum(-1), torch.ones(2, 3, 7), atol=1e-3)


def test_writing_does_not_look_ahead(vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    network = Network(Shape(len(vocabulary), vocabulary.end, 32, 2, 1, 2)).eval()
    tokens = torch.randint(0, 900, (1, 6))
    changed = tokens.clone()
    changed[0, -1] = (int(changed[0, -1]) + 1) % 900
    with torch.no_grad():
        heard = network.hear(torch.randn(1, 60, 80))
        first, second = network.write(tokens, heard)[0], network.write(changed, heard)[0]
    assert torch.allclose(first[:, :-1], second[:, :-1], atol=1e-5)


@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_the_learning_rate_stays_between_nothing_and_full(step: int, done: float) -> None:
    assert 0.0 <= learning_rate_factor(step, done) <= 1.0
    assert learning_rate_factor(step, 1.0) == 0.0


# --- speech ----------------------------------------------------------------------------


def test_mel_frames_are_those_of_faster_whisper() -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    samples = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    ours = speech.log_mel(samples)
    scaled = (np.maximum(ours, ours.max() - 8.0) + 4.0) / 4.0
    theirs = FeatureExtractor()(samples, padding=0).T
    assert np.allclose(scaled, theirs[: len(scaled)], atol=1e-4)


def test_training_voices_are_never_held_out_ones() -> None:
    rng = np.random.default_rng(0)
    held = {(voice.engine, voice.variant) for voice in HELD_OUT_VOICES.values()}
    drawn = [speech.random_voice(rng) for _ in range(3000)]
    assert not held & {(voice.engine, voice.variant) for voice in drawn}
    known = sum(voice.name in SAMPLE_VOICES for voice in drawn)
    assert 0.6 < known / 3000 < 0.7


# --- the shipped model -----------------------------------------------------------------

SHIPPED = Path(__file__).parents[1] / "models" / "embedded-whisper"


def test_the_shipped_model_says_what_it_is() -> None:
    manifest = json.loads((SHIPPED / "qa_monitor.json").read_text())
    assert manifest["demonstration_only"] is True
    assert manifest["trained_on"] == "synthetic speech"
    assert manifest["max_window_s"] <= manifest["pad_to_s"]
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 30_000_000
    card = (SHIPPED / "README.md").read_text()
    for needed in ("demonstration only", "CC BY 4.0", "PriMock57", "ACI-BENCH", "MTS-Dialog"):
        assert needed.lower() in card.lower()


@pytest.mark.voices
@pytest.mark.skipif(not installed(), reason="espeak-ng and flite are not installed")
def test_the_shipped_model_understands_the_sample_voices() -> None:
    """Twelve unseen lines, at most a quarter of the words wrong: well above its average."""
    import jiwer

    from qa_monitor.training.recogniser.measure import Listener

    rng = np.random.default_rng(17)
    listener = Listener(SHIPPED, pad_to_s=12.0)
    said, heard = [], []
    for index in range(12):
        line = text.speakable(lines.draw_line(rng, "test"))
        assert line is not None
        voice = list(SAMPLE_VOICES.values())[index % len(SAMPLE_VOICES)]
        utterance = speech.utter(line, voice, rng, quality="clean")
        said.append(line.text)
        heard.append(" ".join(word.text for word in listener.write(utterance.samples, 5)))
    assert jiwer.wer(said, heard) < 0.25
