"""What is heard on the pages: the redacted sound for whoever may see the call, originals hardly."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from call_fixtures import CALL, DURATION_S, keep_heard_call, make_sound, until
from web_fixtures import Site, serving

from qa_monitor.audio import decode, write_audio
from qa_monitor.calls import SAMPLE_RATE_HZ, DecodedAudio
from qa_monitor.config import Config
from qa_monitor.errors import NotAudioError, NotFoundError
from qa_monitor.waveforms import waveform_of
from qa_monitor.web import listening
from qa_monitor.web.viewing import Sittings

if TYPE_CHECKING:
    from playwright.sync_api import Page

AUDIO = f"/calls/{CALL}/audio"
ASK = f"/calls/{CALL}/unredacted"
REASON = "the family asks what was said about the dose"


@pytest.fixture
def heard(site: Site) -> Site:
    """A site that has the call with sound, of agent-01 in team north."""
    keep_heard_call(site.monitor)
    return site


def actions(site: Site, user_id: str) -> list[tuple[str, str, str | None]]:
    """What the log holds of a user's listening, oldest first."""
    return [
        (entry.action, entry.outcome, entry.reason)
        for entry in reversed(site.store.access_log.entries(user_id=user_id, object_id=CALL))
        if "listen" in entry.action or "play" in entry.action
    ]


# --- the redacted recording ----------------------------------------------------------------------


def test_the_kept_copy_is_served_as_it_is_to_be_played_in_the_page(heard: Site) -> None:
    answer = heard.client("rita").get(AUDIO)
    assert answer.status_code == 200
    assert answer.content == heard.monitor.kept_copy(CALL).read_bytes()
    assert answer.headers["content-type"] == "audio/flac"
    assert answer.headers["content-disposition"] == "inline"
    assert answer.headers["cache-control"] == "no-store"
    assert CALL not in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=500-", slice(500, None)),
        ("bytes=-7", slice(-7, None)),
    ],
)
def test_a_player_gets_the_range_it_asks_for(heard: Site, asked: str, expected: slice) -> None:
    answer = heard.client("rita").get(AUDIO, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == heard.monitor.kept_copy(CALL).read_bytes()[expected]


def test_a_range_beyond_the_end_is_told_of(heard: Site) -> None:
    answer = heard.client("rita").get(AUDIO, headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416


@pytest.mark.parametrize(
    ("user_id", "status"), [("amos", 404), ("ada", 403), ("agnes", 200), ("cora", 200)]
)
def test_only_who_may_see_the_call_hears_it(heard: Site, user_id: str, status: int) -> None:
    client = heard.client(user_id)
    assert client.get(AUDIO).status_code == status
    assert client.get(f"/calls/{CALL}/waveform").status_code == status
    outcome = "allowed" if status == 200 else "refused"
    assert [one[1] for one in actions(heard, user_id)] == [outcome]


def test_nobody_unknown_hears_anything(heard: Site) -> None:
    assert heard.client().get(AUDIO).status_code == 303
    assert heard.client().get(f"{ASK}/{'x' * 43}").status_code == 303


def test_a_call_whose_sound_is_not_kept_has_none(site: Site) -> None:
    client = site.client("rita")
    assert client.get("/calls/north-1/audio").status_code == 404
    assert client.get("/calls/north-1/waveform").status_code == 404


def test_one_listening_is_one_entry_of_the_log_however_many_ranges(
    heard: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_LISTENS", Sittings())
    rita, cora = heard.client("rita"), heard.client("cora")
    for asked in ("bytes=0-", "bytes=1000-1999", "bytes=2000-"):
        rita.get(AUDIO, headers={"Range": asked})
    assert len(actions(heard, "rita")) == 1
    rita.get(AUDIO, headers={"Range": "bytes=0-"})
    assert len(actions(heard, "rita")) == 2
    # Who begins in the middle is no less noted.
    cora.get(AUDIO, headers={"Range": "bytes=1-"})
    assert len(actions(heard, "cora")) == 1


# --- waveforms -----------------------------------------------------------------------------------


def test_a_waveform_shows_where_each_channel_is_loud(heard: Site) -> None:
    found = heard.client("rita").get(f"/calls/{CALL}/waveform").json()
    assert found["duration_s"] == DURATION_S
    agent, caller = (np.array(lane) for lane in found["lanes"])
    assert len(agent) == len(caller) == 1200
    at = np.arange(1200) * DURATION_S / 1200
    speaks = at % 5 < 3.8
    assert agent[speaks & (at % 10 < 5)].min() == round(8000 / 32767 * 100)
    assert caller[speaks & (at % 10 < 5)].max() == 0
    assert caller[speaks & (at % 10 >= 5)].min() == round(8000 / 32767 * 100)


def test_a_waveform_is_worked_out_once_and_anew_when_the_sound_changes(tmp_path: Path) -> None:
    sound, kept = tmp_path / "calls-1.flac", tmp_path / "waveforms" / "calls-1.json"
    write_audio(sound, make_sound(3.0))
    first = waveform_of(sound, kept, call_id="calls-1")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    written = kept.stat().st_mtime_ns
    assert waveform_of(sound, kept, call_id="calls-1") == first
    assert kept.stat().st_mtime_ns == written
    silence = DecodedAudio(np.zeros((1, SAMPLE_RATE_HZ), np.int16))
    write_audio(sound, silence)
    second = waveform_of(sound, kept, call_id="calls-1")
    assert second.duration_s == 1.0
    assert set(second.lanes[0]) == {0}


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"stamp": 1, "lanes": 2}', "\x00\xff"])
def test_a_damaged_waveform_is_worked_out_anew(tmp_path: Path, content: str) -> None:
    sound, kept = tmp_path / "calls-1.flac", tmp_path / "calls-1.json"
    write_audio(sound, make_sound(1.0))
    kept.write_text(content, encoding="latin-1")
    assert waveform_of(sound, kept, call_id="calls-1").duration_s == 1.0


@pytest.mark.parametrize("samples", [1, 100, 321, SAMPLE_RATE_HZ - 1])
def test_the_shortest_sound_has_a_waveform_that_holds_its_loudest_moment(
    tmp_path: Path, samples: int
) -> None:
    sound = tmp_path / "calls-1.flac"
    values = np.zeros((2, samples), np.int16)
    values[1, -1] = -32768
    write_audio(sound, DecodedAudio(values))
    found = waveform_of(sound, tmp_path / "calls-1.json", call_id="calls-1")
    assert found.lanes[1][-1] == 100
    assert max(found.lanes[0]) == 0


@pytest.mark.parametrize("content", [None, b"", b"no sound at all", b"fLaC" + bytes(100)])
def test_what_is_no_sound_has_no_waveform_and_the_message_names_no_file(
    tmp_path: Path, content: bytes | None
) -> None:
    sound, kept = tmp_path / "Jane Roe.flac", tmp_path / "calls-1.json"
    if content is not None:
        sound.write_bytes(content)
    with pytest.raises(NotAudioError, match="calls-1") as caught:
        waveform_of(sound, kept, call_id="calls-1")
    assert "Jane" not in caught.value.message
    assert not kept.exists()


def test_the_monitor_has_no_waveform_of_a_call_without_sound(site: Site) -> None:
    with pytest.raises(NotFoundError):
        site.monitor.waveform("north-1")


# --- the original --------------------------------------------------------------------------------


def open_site(heard: Site, *, allow: bool = True, keep: bool = True) -> serving:
    """The same site under a configuration that allows originals, or half of that."""
    return serving(
        Config.model_validate(
            {
                "data": {"folder": heard.monitor.config.data.folder},
                "web": {"allow_unredacted": allow},
                "audio": {"keep_original": keep},
            }
        ),
        heard.tokens,
    )


@pytest.fixture
def original(heard: Site) -> Iterator[Site]:
    """A site where originals are kept and may be heard."""
    write_audio(heard.monitor.kept_original(CALL), make_sound(4.0))
    with open_site(heard) as site:
        yield site


def ticket_of(answer: httpx.Response) -> str:
    """Where the player that was answered gets its sound."""
    found = re.search(rf'src="({ASK}/[^"]+)"', answer.text)
    assert found, answer.text
    return found[1]


def test_an_original_is_heard_once_for_a_reason_that_is_logged(original: Site) -> None:
    client = original.client("rita")
    assert "Hear the original" in client.get(f"/calls/{CALL}").text
    answer = client.post(ASK, data={"reason": f"  {REASON} "})
    assert answer.status_code == 200
    player = ticket_of(answer)
    heard = client.get(player)
    assert heard.content == original.monitor.kept_original(CALL).read_bytes()
    assert heard.headers["cache-control"] == "no-store"
    assert client.get(player).status_code == 403
    assert actions(original, "rita") == [
        ("call.listen_unredacted", "allowed", REASON),
        ("call.play_unredacted", "allowed", None),
        ("call.play_unredacted", "refused", None),
    ]


@pytest.mark.parametrize("reason", ["", "because", " a b c    ", "x" * 501])
def test_without_a_proper_reason_no_original_is_heard(original: Site, reason: str) -> None:
    answer = original.client("rita").post(ASK, data={"reason": reason})
    assert answer.status_code == 422
    assert f"{ASK}/" not in answer.text


def test_a_ticket_is_good_for_its_session_and_its_call_only(original: Site) -> None:
    rita = original.client("rita")
    player = ticket_of(rita.post(ASK, data={"reason": REASON}))
    assert original.client("sam").get(player).status_code == 403
    # Whoever tried has used it up.
    assert rita.get(player).status_code == 403
    player = ticket_of(rita.post(ASK, data={"reason": REASON}))
    keep_heard_call(original.monitor, "north-other")
    write_audio(original.monitor.kept_original("north-other"), make_sound(1.0))
    assert rita.get(player.replace(CALL, "north-other")).status_code == 403
    another = original.client("rita")
    player = ticket_of(rita.post(ASK, data={"reason": REASON}))
    assert another.get(player).status_code == 403


def test_a_ticket_that_waits_too_long_is_void(
    original: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_TICKET_LASTS", timedelta(0))
    client = original.client("rita")
    player = ticket_of(client.post(ASK, data={"reason": REASON}))
    assert client.get(player).status_code == 403


@pytest.mark.parametrize("user_id", ["cora", "agnes", "ada"])
def test_who_may_not_hear_originals_is_refused_and_logged(original: Site, user_id: str) -> None:
    client = original.client(user_id)
    assert client.post(ASK, data={"reason": REASON}).status_code == 403
    assert actions(original, user_id) == [("call.listen_unredacted", "refused", REASON)]
    assert "Hear the original" not in client.get(f"/calls/{CALL}").text


def test_nobody_hears_originals_out_of_reach(original: Site) -> None:
    keep_heard_call(original.monitor, "south-call", agent_id="agent-02")
    write_audio(original.monitor.kept_original("south-call"), make_sound(1.0))
    answer = original.client("rita").post("/calls/south-call/unredacted", data={"reason": REASON})
    assert answer.status_code == 404


@pytest.mark.parametrize(("allow", "keep"), [(False, True), (True, False), (False, False)])
def test_unless_the_configuration_says_so_twice_no_original_is_heard(
    heard: Site, allow: bool, keep: bool
) -> None:
    write_audio(heard.monitor.kept_original(CALL), make_sound(4.0))
    with open_site(heard, allow=allow, keep=keep) as site:
        client = site.client("rita")
        assert "Hear the original" not in client.get(f"/calls/{CALL}").text
        assert client.post(ASK, data={"reason": REASON}).status_code == 403
        assert client.get(f"{ASK}/{'x' * 43}").status_code == 403
        assert {one[1] for one in actions(site, "rita")} == {"refused"}


def test_an_original_that_is_not_kept_is_not_there(original: Site) -> None:
    original.monitor.kept_original(CALL).unlink()
    client = original.client("rita")
    assert client.post(ASK, data={"reason": REASON}).status_code == 404
    assert "Hear the original" not in client.get(f"/calls/{CALL}").text


def test_in_a_browser_an_original_plays_after_a_reason(original: Site, browser_page: Page) -> None:
    page = browser_page
    original.sign_in(page, "rita")
    page.goto(f"{original.address}/calls/{CALL}")
    page.get_by_text("Hear the original", exact=True).click()
    page.get_by_label("Why you need to hear what was taken out").fill(REASON)
    page.get_by_role("button", name="Hear the original once").click()
    page.get_by_text("Not redacted.", exact=True).wait_for()
    # In its place in the page, or on a page of its own where the click was before the script.
    sound = "document.querySelector('audio[src*=unredacted]')"
    until(page, f"{sound}.readyState > 0")
    assert page.evaluate(f"{sound}.error") is None


# --- keeping -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False])
def test_an_original_is_kept_for_its_owner_only_where_that_is_asked_for(
    tmp_path: Path, stages: object, keep: bool
) -> None:
    from conftest import SAMPLES

    from qa_monitor.monitor import Monitor
    from qa_monitor.pipeline import Stages

    assert isinstance(stages, Stages)
    config = Config.model_validate(
        {"data": {"folder": tmp_path / "data"}, "audio": {"keep_original": keep}}
    )
    recording = min((SAMPLES / "recordings").glob("*.wav"))
    with Monitor(config) as monitor:
        monitor.__dict__["stages"] = replace(
            stages,
            audio_folder=config.data.folder / "audio",
            originals_folder=config.data.folder / "originals" if keep else None,
        )
        (outcome,) = monitor.score([recording])
        assert outcome.status == "scored"
        path = monitor.kept_original(outcome.call_id)
        assert path.is_file() is keep
        if keep:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            kept = decode(path, call_id="kept")
            source = decode(recording, call_id="source")
            assert np.array_equal(kept.samples, source.samples)
