"""The page of one call: reading, judging, commenting, blind reviews, and nothing that leaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from call_fixtures import CALL, keep_heard_call, make_heard_call, until
from invented_records import NOW, make_lenient_rubric
from web_fixtures import MARKUP, Site, assert_accessible, serving

from qa_monitor.calls import Criterion
from qa_monitor.config import Config
from qa_monitor.reviewing import QueuePolicy, refresh_queue
from qa_monitor.store import Scope
from qa_monitor.web import one_call

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from qa_monitor.scoring import Scorer

PAGE = f"/calls/{CALL}"
API = f"/api/v1/calls/{CALL}"
EVERYTHING = Scope(all_calls=True)


@pytest.fixture
def heard(site: Site) -> Site:
    """A site that has the call with sound, of agent-01 in team north."""
    keep_heard_call(site.monitor)
    return site


def asked(site: Site, user_id: str = "rita") -> dict[str, str]:
    """The fields of a judgement that name what was seen."""
    record = site.store.record(CALL)
    return {
        "run_id": str(site.store.latest_run(CALL)),
        "rubric_version": record.scorecard.rubric_version,
    }


def read_blind(site: Site, user_id: str = "rita", call_id: str = CALL) -> None:
    """Have the user take up a blind review of the call."""
    policy = QueuePolicy(
        key=b"of this test", random_share=1, double_share=0, days_back=36_500, per_agent_floor=0
    )
    refresh_queue(site.store, policy, now=NOW + timedelta(hours=1))
    (task,) = [
        one
        for one in site.store.queueing.tasks(EVERYTHING)
        if one.call_id == call_id and one.is_blind
    ]
    site.store.queueing.take(
        task.task_id, user_id, scope=EVERYTHING, now=NOW, lease=timedelta(hours=1)
    )
    assert site.store.queueing.is_blind(user_id, call_id)


def words_of(html: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


# --- reading -------------------------------------------------------------------------------------


def test_the_page_tells_facts_transcript_and_scores_with_their_evidence(heard: Site) -> None:
    answer = heard.client("rita").get(PAGE)
    assert answer.status_code == 200
    told = words_of(answer.text)
    assert "Agnes" in told
    assert "2.0 of 5" in told
    assert "Neither fear was answered." in told
    assert "crushing chest pain" in told
    assert "Likely 1.4 to 2.9" in told
    assert "too unsure to give points and leaves it to a person" in told
    assert "demonstration recogniser" in told
    assert "hard to make out" in told
    assert "Red flags heard" in told


def test_without_a_script_there_are_a_plain_player_and_links_to_every_place(heard: Site) -> None:
    html = heard.client("rita").get(PAGE).text
    assert f'<audio controls preload="none" src="{PAGE}/audio">' in html
    for key in re.findall(r'href="#at-([a-z_]+-\d+)"', html):
        assert f'id="at-{key}"' in html
        assert f'id="{key}"' in html
    assert 'href="#at-empathy-1"' in html


def test_what_was_taken_out_is_shown_as_its_kind(heard: Site) -> None:
    html = heard.client("rita").get(PAGE).text
    assert 'data-redacted="organisation" data-start="1.20" data-end="2.00">organisation<' in html
    assert "ORGANIZATION_1" not in html


def test_a_place_within_a_turn_is_marked_and_a_whole_turn_stands_by_its_side(heard: Site) -> None:
    html = heard.client("rita").get(PAGE).text
    assert re.search(r'<mark class="ev m-empathy">crushing chest pain</mark>', html)
    whole = html[html.index('id="turn-3"') : html.index('id="turn-4"')]
    assert '<i class="m-empathy"></i>' in whole


def test_what_was_said_is_only_ever_text(site: Site) -> None:
    client = site.client("boss")
    store = site.store.reviews
    store.comment("north-2", MARKUP, user_id="cora", role="coach", now=NOW, turn_index=0)
    store.correct(
        "north-2", "empathy", user_id="cora", points=3, reason=f"because {MARKUP}", now=NOW
    )
    html = client.get("/calls/north-2").text
    assert html.count("&lt;script&gt;document.title=") >= 4  # turn, remark, comment, reason
    assert "<script>document" not in html
    assert "<b>bold" not in html


def test_a_call_without_times_or_sound_can_be_read(site: Site) -> None:
    record = make_heard_call("written")
    turns = tuple(
        replace(turn, start_s=None, end_s=None, words=(), spans=())
        for turn in record.dialogue.turns
    )
    site.store.save_record(
        replace(record, dialogue=replace(record.dialogue, turns=turns)), (), now=NOW
    )
    answer = site.client("rita").get("/calls/written")
    assert answer.status_code == 200
    told = words_of(answer.text)
    assert "No recording of this call is kept" in told
    assert "turn 2" in told
    assert "<audio" not in answer.text


def test_another_card_of_the_call_can_be_read_and_says_that_it_is_not_in_use(heard: Site) -> None:
    card = replace(make_heard_call().scorecard, rubric_version="stricter-1+abc", total=12.0)
    heard.store.save_card(card, heard.store.latest_run(CALL), now=NOW, in_use=False)
    client = heard.client("rita")
    told = words_of(client.get(f"{PAGE}?rubric=stricter-1").text)
    assert "not the card in use" in told
    assert "not the card in use" not in words_of(client.get(PAGE).text)
    assert client.get(f"{PAGE}?rubric=unheard-of").status_code == 404


@pytest.mark.parametrize(
    ("user_id", "status"), [("rita", 404), ("agnes", 404), ("ada", 403), ("boss", 200)]
)
def test_calls_out_of_reach_are_not_there(site: Site, user_id: str, status: int) -> None:
    for path in ("/calls/south-1", "/api/v1/calls/south-1", "/api/v1/calls/south-1/history"):
        client = site.api(user_id) if path.startswith("/api") else site.client(user_id)
        assert client.get(path).status_code == status


def test_looking_at_a_call_is_logged(heard: Site) -> None:
    heard.client("rita").get(PAGE)
    (entry, *_) = heard.store.access_log.entries(object_id=CALL)
    assert (entry.action, entry.user_id, entry.outcome) == ("call.view", "rita", "allowed")


# --- judging -------------------------------------------------------------------------------------


def test_a_correction_is_shown_beside_the_machines_score(heard: Site) -> None:
    client = heard.client("rita")
    answer = client.post(
        f"{PAGE}/judgements",
        data=asked(heard)
        | {"verdict": "correct", "subject": "empathy", "value": "4", "reason": "warm at the end"},
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == PAGE
    told = words_of(client.get(PAGE).text)
    assert "2.0 of 5" in told
    assert re.search(r"You say 4 .*“warm at the end”", told)
    assert re.search(r"Bo|Rita say", words_of(heard.client("boss").get(PAGE).text))
    record = heard.api("rita").get(API).json()
    empathy = next(s for s in record["scorecard"]["scores"] if s["criterion"] == "empathy")
    assert empathy["points"] == 2.0
    assert [(j["points"], j["reason"]) for j in record["judgements"]] == [(4, "warm at the end")]


def test_a_script_gets_the_part_of_the_page_that_changed(heard: Site) -> None:
    answer = heard.client("rita").post(
        f"{PAGE}/judgements",
        data=asked(heard) | {"verdict": "agree", "subject": "empathy"},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'id="subject-empathy"' in answer.text
    assert 'id="history" aria-labelledby="history-title" hx-swap-oob="true"' in answer.text
    assert "You agree with the machine" in words_of(answer.text)


def test_agreeing_with_the_rest_leaves_what_the_machine_left_open(heard: Site) -> None:
    client = heard.client("rita")
    client.post(f"{PAGE}/judgements", data=asked(heard) | {"verdict": "agree_rest"})
    said = {one.subject for one in heard.store.reviews.judgements(CALL)}
    assert said == {"empathy", "urgency", "escalation", "call_type", "escalated"}
    assert "5 of 6 judged" in words_of(client.get(PAGE).text)


def test_a_judgement_is_of_the_scoring_that_was_seen(heard: Site) -> None:
    fields = asked(heard)
    heard.store.save_record(make_heard_call(), (), now=NOW)
    heard.client("rita").post(
        f"{PAGE}/judgements", data=fields | {"verdict": "agree", "subject": "empathy"}
    )
    (judgement,) = heard.store.reviews.judgements(CALL)
    assert judgement.run_id == int(fields["run_id"]) < heard.store.latest_run(CALL)
    told = words_of(heard.client("rita").get(PAGE).text)
    assert "Judgements of earlier scorings (1)" in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "", "reason": "because"},
        {"value": "9", "reason": "because"},
        {"value": "4", "reason": "no"},
        {"value": "4", "reason": "x" * 2001},
        {"subject": "checklist:nothing", "value": "yes", "reason": "because"},
        {"subject": "Robert'); DROP", "value": "4", "reason": "because"},
        {"run_id": "0", "value": "4", "reason": "because"},
        {"run_id": "99999999999", "value": "4", "reason": "because"},
    ],
)
def test_a_wrong_correction_is_told_of_and_keeps_nothing(
    heard: Site, wrong: dict[str, str]
) -> None:
    fields = asked(heard) | {"verdict": "correct", "subject": "empathy"} | wrong
    answer = heard.client("rita").post(f"{PAGE}/judgements", data=fields)
    assert answer.status_code == 422
    assert not heard.store.reviews.judgements(CALL)


@pytest.mark.parametrize("user_id", ["cora", "sam", "agnes"])
def test_who_may_not_review_has_no_forms_for_it_and_is_refused(heard: Site, user_id: str) -> None:
    client = heard.client(user_id)
    assert "/judgements" not in client.get(PAGE).text
    fields = asked(heard) | {"verdict": "agree", "subject": "empathy"}
    for path, data in (
        ("judgements", fields),
        ("review", {}),
        ("swap-roles", {}),
        ("rescore", {}),
        ("blind", {"action": "done"}),
    ):
        assert client.post(f"{PAGE}/{path}", data=data).status_code == 403
    api = heard.api(user_id)
    for path, body in (
        ("judgements", {"subject": "empathy", "agrees": True}),
        ("review", {}),
        ("swap-roles", None),
        ("rescore", None),
    ):
        assert api.post(f"{API}/{path}", json=body).status_code == 403
    assert not heard.store.reviews.judgements(CALL)
    assert not heard.store.reviews.reviews(CALL)


def test_done_is_kept_with_the_time_it_took(heard: Site) -> None:
    client = heard.client("rita")
    answer = client.post(
        f"{PAGE}/review", data={"opened_at": "2026-03-02T10:00:00+00:00", "seconds": "93"}
    )
    assert answer.status_code == 303
    (review,) = heard.store.reviews.reviews(CALL)
    assert (review.user_id, review.seconds) == ("rita", 93.0)
    assert "finished a review" in words_of(client.get(PAGE).text)


@pytest.mark.parametrize("opened_at", ["", "yesterday", "2026-03-02T10:00:00"])
def test_a_browser_that_tells_no_time_or_nonsense_still_finishes_the_review(
    heard: Site, opened_at: str
) -> None:
    data = {"opened_at": opened_at, "seconds": "-4e9"}
    heard.client("rita").post(f"{PAGE}/review", data=data)
    (review,) = heard.store.reviews.reviews(CALL)
    assert review.seconds == 0.0


# --- comments ------------------------------------------------------------------------------------


def test_a_comment_stands_at_its_moment_with_who_wrote_it(heard: Site) -> None:
    client = heard.client("cora")
    client.post(f"{PAGE}/comments", data={"text": "Ask here", "start": "0:16", "turn": "3"})
    (made,) = heard.store.reviews.comments(CALL)
    assert (made.start_s, made.turn_index, made.role) == (16.0, 3, "coach")
    html = client.get(PAGE).text
    turn = html[html.index('id="turn-3"') : html.index('id="turn-4"')]
    assert "Ask here" in turn


def test_a_turn_prefills_the_comment_without_a_script(heard: Site) -> None:
    html = heard.client("rita").get(f"{PAGE}?turn=3").text
    assert 'name="turn" value="3"' in html
    assert 'name="start" value="00:15"' in html
    assert heard.client("rita").get(f"{PAGE}?turn=99").status_code == 200


def test_a_comment_is_taken_back_by_its_author_only(heard: Site) -> None:
    cora, rita = heard.client("cora"), heard.client("rita")
    cora.post(f"{PAGE}/comments", data={"text": "a slip"})
    (made,) = heard.store.reviews.comments(CALL)
    path = f"{PAGE}/comments/{made.comment_id}/withdraw"
    assert path not in rita.get(PAGE).text
    assert rita.post(path).status_code == 404
    assert cora.post(path).status_code == 303
    assert "a slip" not in cora.get(PAGE).text


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "  "},
        {"text": "x" * 2001},
        {"text": "hm", "start": "soon"},
        {"text": "hm", "start": "9:00"},
        {"text": "hm", "turn": "99"},
    ],
)
def test_a_wrong_comment_is_told_of_and_not_kept(heard: Site, wrong: dict[str, str]) -> None:
    assert heard.client("rita").post(f"{PAGE}/comments", data=wrong).status_code == 422
    assert not heard.store.reviews.comments(CALL)


# --- the agent -----------------------------------------------------------------------------------


def test_an_agent_sees_scores_judgements_and_shared_comments_of_the_own_call_only(
    heard: Site,
) -> None:
    store = heard.store.reviews
    store.correct(CALL, "empathy", user_id="rita", points=4, reason="warm at the end", now=NOW)
    cora = {"user_id": "cora", "role": "coach", "now": NOW}
    store.comment(CALL, "between colleagues", **cora)  # type: ignore[arg-type]
    store.comment(CALL, "well done here", is_for_agent=True, **cora)  # type: ignore[arg-type]
    html = heard.client("agnes").get(PAGE).text
    api = heard.api("agnes")
    for told in (html, api.get(API).text, api.get(f"{API}/history").text):
        assert "well done here" in told
        assert "warm at the end" in told
        assert "between colleagues" not in told
    assert 'id="new-comment"' not in html
    assert heard.client("amos").get(PAGE).status_code == 404


# --- blind ---------------------------------------------------------------------------------------


@pytest.fixture
def blind(heard: Site) -> Site:
    """The call has everything that could leak, and rita reads it blind."""
    store = heard.store.reviews
    store.correct(CALL, "empathy", user_id="boss", points=5, reason="telltale reason", now=NOW)
    store.comment(CALL, "telltale remark", user_id="cora", role="coach", now=NOW, start_s=5.0)
    store.finish(CALL, user_id="boss", now=NOW)
    read_blind(heard)
    return heard


def everything_shown(site: Site, user_id: str) -> Iterator[str]:
    """Whatever the pages and the API answer the user about the call."""
    client, api = site.client(user_id), site.api(user_id)
    rubric = site.store.record(CALL).scorecard.rubric_version
    for path in (PAGE, f"{PAGE}?rubric={rubric.partition('+')[0]}", f"{PAGE}?turn=1&at=5"):
        yield client.get(path).text
    yield client.post(
        f"{PAGE}/comments", data={"text": "mine"}, headers={"HX-Request": "true"}
    ).text
    for path in (API, f"{API}?rubric={rubric.partition('+')[0]}"):
        yield api.get(path).text
    assert api.get(f"{API}/history").status_code == 403


def test_who_reads_blind_sees_nothing_of_the_machine_or_of_others(blind: Site) -> None:
    record = blind.store.record(CALL)
    telltale = [
        "telltale",
        "Neither fear was answered",
        "at-empathy",
        'class="ev',
        "m-empathy",
        "2.0 of 5",
        '"points":2.0',
        record.scorecard.rubric_version.partition("+")[0],
        "red flag",
        'alarm">missed',
        "chest_pain",
        "turn-findings",
        "history-title",
        "not_assessable",
    ]
    for answer in everything_shown(blind, "rita"):
        found = [word for word in telltale if word.lower() in answer.lower()]
        assert not found
        assert "crushing chest pain" in answer or "mine" in answer


def test_another_reviewer_sees_all_of_it_but_what_is_said_blind(blind: Site) -> None:
    blind.client("rita").post(
        f"{PAGE}/blind",
        data={"value_empathy": "1", "reason_empathy": "blind words", "action": "save"},
    )
    html = blind.client("boss").get(PAGE).text
    assert "telltale remark" in html
    assert "blind words" not in html
    assert "blind words" in blind.client("rita").get(PAGE).text


def test_a_blind_review_is_saved_gone_on_with_and_done_and_then_all_is_shown(blind: Site) -> None:
    client = blind.client("rita")
    first = {"value_empathy": "1", "reason_empathy": "cold", "action": "save"}
    assert client.post(f"{PAGE}/blind", data=first).status_code == 303
    html = client.get(PAGE).text
    assert re.search(r'name="value_empathy" value="1" checked', html)
    early = client.post(f"{PAGE}/blind", data=first | {"action": "done"})
    assert early.status_code == 422
    assert "active listening" in early.text
    rest = {
        "value_active_listening": "none",
        "value_urgency": "3",
        "value_escalation": "1",
        "value_call_type": "emergency",
        "value_escalated": "missed",
        "seconds": "64",
        "action": "done",
    }
    assert client.post(f"{PAGE}/blind", data=first | rest).status_code == 303
    html = client.get(PAGE).text
    assert "telltale reason" in html
    assert "Neither fear was answered." in html
    own = [j for j in blind.store.reviews.judgements(CALL) if j.user_id == "rita"]
    assert {(j.subject, j.points, j.answer) for j in own} == {
        ("empathy", 1.0, None),
        ("active_listening", None, None),
        ("urgency", 3.0, None),
        ("escalation", 1.0, None),
        ("call_type", None, "emergency"),
        ("escalated", None, "missed"),
    }
    assert {j.kind for j in own} == {"blind"}
    (review,) = [r for r in blind.store.reviews.reviews(CALL) if r.user_id == "rita"]
    assert (review.kind, review.seconds) == ("blind", 64.0)
    assert client.post(f"{PAGE}/blind", data=first).status_code == 409


def test_nothing_is_agreed_swapped_or_scored_anew_by_who_reads_blind(blind: Site) -> None:
    client, api = blind.client("rita"), blind.api("rita")
    fields = asked(blind) | {"verdict": "agree", "subject": "empathy"}
    assert client.post(f"{PAGE}/judgements", data=fields).status_code == 403
    for path in ("swap-roles", "rescore"):
        assert client.post(f"{PAGE}/{path}").status_code == 403
        assert api.post(f"{API}/{path}").status_code == 403
    body = {"subject": "empathy", "agrees": True}
    assert api.post(f"{API}/judgements", json=body).status_code == 403


def test_a_program_can_do_a_blind_review_too(blind: Site) -> None:
    api = blind.api("rita")
    for criterion in Criterion:
        body = {"subject": criterion.value, "points": 3}
        answer = api.post(f"{API}/judgements", json=body)
        assert (answer.status_code, answer.json()["kind"]) == (201, "blind")
    assert api.get(API).json()["scorecard"] is None
    assert api.post(f"{API}/review", json={"seconds": 5.0}).json()["kind"] == "blind"
    assert api.get(API).json()["scorecard"]["total"] is not None


# --- scoring anew --------------------------------------------------------------------------------


def test_scoring_anew_by_another_rubric_keeps_the_old_card_and_tells_who(
    heard: Site, tmp_path: Path
) -> None:
    config = Config.model_validate(
        {
            "data": {"folder": heard.monitor.config.data.folder},
            "scoring": {"rubric_file": make_lenient_rubric(tmp_path)},
        }
    )
    before = heard.store.record(CALL).scorecard
    with serving(config, heard.tokens) as lenient:
        client = lenient.client("rita")
        assert "lenient" in client.get(PAGE).text
        assert client.post(f"{PAGE}/rescore").status_code == 303
        html = client.get(PAGE).text
        assert "Scored anew. The scores changed." in html
        assert before.rubric_version in html
        answer = lenient.api("rita").post(f"{API}/rescore").json()
        assert answer["rubric_version"].startswith("lenient")
        assert not answer["is_changed"]
    entries = heard.store.history(CALL, for_agent=True)  # without the alerts
    told = [(entry.what, entry.by) for entry in entries]
    assert told == [("scored", None), ("rescored", "rita"), ("rescored", "rita")]


def test_who_comes_second_while_models_work_is_told_to_wait(heard: Site) -> None:
    with one_call._one_at_a_time():
        answer = heard.api("rita").post(f"{API}/rescore")
        assert answer.status_code == 409
        assert "another call is being scored" in answer.json()["detail"]
    assert heard.api("rita").post(f"{API}/rescore").status_code == 200


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    from qa_monitor.pipeline import build_scorer

    return build_scorer(Config())


@pytest.mark.slow
def test_swapping_the_roles_scores_the_call_anew_and_tells_who_did_it(
    heard: Site, scorer: Scorer
) -> None:
    heard.monitor.__dict__["scorer"] = scorer
    client = heard.client("rita")
    assert client.post(f"{PAGE}/swap-roles").status_code == 303
    html = client.get(PAGE).text
    assert "Agent and caller are swapped." in html
    turn = html[html.index('id="turn-1"') : html.index('id="turn-2"')]
    assert '<span class="role">Agent</span>' in turn
    told = [(e.what, e.by) for e in heard.store.history(CALL)]
    assert told == [("scored", None), ("roles_swapped", "rita")]
    back = heard.api("rita").post(f"{API}/swap-roles")
    assert back.json()["run_id"] == heard.store.latest_run(CALL)
    turn = client.get(PAGE).text.split('id="turn-1"')[1]
    assert turn.index('<span class="role">Caller</span>') < turn.index('id="turn-2"')


# --- the API -------------------------------------------------------------------------------------


def test_the_record_has_evidence_with_its_words_and_nothing_that_tells_a_caller(
    heard: Site,
) -> None:
    record = heard.api("rita").get(API).json()
    empathy = next(s for s in record["scorecard"]["scores"] if s["criterion"] == "empathy")
    assert empathy["evidence"][0]["quote"] == "crushing chest pain"
    assert record["turns"][0]["spans"][0]["entity_type"] == "ORGANIZATION"
    assert {m["name"] for m in record["measures"]} >= {"talk_time_s", "silence_share"}
    assert record["has_audio"] is True
    assert not {"caller_key", "sha256", "source"} & set(record)


def test_a_program_corrects_comments_and_finishes(heard: Site) -> None:
    api = heard.api("rita")
    body = {"subject": "empathy", "points": 4, "reason": "warm at the end"}
    assert api.post(f"{API}/judgements", json=body).json()["kind"] == "correct"
    assert api.post(f"{API}/judgements", json={"subject": "urgency", "agrees": True}).is_success
    comment = {"text": "here", "start_s": 15.5, "is_for_agent": True}
    assert api.post(f"{API}/comments", json=comment).json()["start_s"] == 15.5
    done = {"started_at": "2026-03-02T10:00:00+02:00", "seconds": 30.0}
    assert api.post(f"{API}/review", json=done).json()["seconds"] == 30.0
    record = api.get(API).json()
    assert [j["is_final"] for j in record["judgements"]] == [True, True]
    assert len(record["comments"]) == len(record["reviews"]) == 1
    told = [e["what"] for e in api.get(f"{API}/history").json()["entries"]]
    assert set(told) >= {"scored", "correct", "agree", "commented", "reviewed"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("judgements", {"subject": "empathy", "points": True, "reason": "because"}),
        ("judgements", {"subject": "empathy", "points": "4", "reason": "because"}),
        ("judgements", {"subject": "empathy", "points": 4, "reason": "half \ud83d"}),
        ("judgements", {"subject": "empathy", "points": 4, "reason": "because", "extra": 1}),
        ("judgements", {"subject": "empathy", "points": 4}),
        ("judgements", {"subject": "active_listening", "agrees": True}),
        ("comments", {"text": ""}),
        ("comments", {"text": " "}),
        ("comments", {"text": "hm", "start_s": 4000}),
        ("comments", {"text": "hm", "turn_index": 99}),
        ("review", {"started_at": "2026-03-02T10:00:00"}),
        ("review", {"seconds": -1}),
    ],
)
def test_a_programs_wrong_values_are_refused_without_repeating_them(
    heard: Site, path: str, body: dict[str, object]
) -> None:
    import json

    answer = heard.api("rita").post(
        f"{API}/{path}",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "because" not in answer.text


def test_ids_that_cannot_be_are_wrong_and_ids_that_are_not_there_are_missing(heard: Site) -> None:
    api = heard.api("rita")
    assert api.get("/api/v1/calls/-nobody").status_code == 422
    assert api.get("/api/v1/calls/nobody").status_code == 404
    assert heard.client("rita").get("/calls/nobody").status_code == 404


# --- in a browser --------------------------------------------------------------------------------


def opened(site: Site, page: Page, user_id: str = "rita", path: str = PAGE) -> None:
    site.sign_in(page, user_id)
    page.goto(site.address + path)


def test_in_a_browser_the_sound_plays_and_the_transcript_follows(
    heard: Site, browser_page: Page
) -> None:
    page = browser_page
    opened(heard, page)
    page.wait_for_selector(".wave path.sound")
    assert page.locator(".wave path.sound:not(.done)").count() == 2
    assert page.locator(".wave rect.redacted").count() == 2
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "document.querySelector('audio').currentTime > 0.3")
    page.wait_for_selector("#turn-0.now")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("link", name="Play from 00:15").first.click()
    until(page, "document.querySelector('audio').currentTime > 15.1")
    current = page.locator("[aria-current=true][data-turn]")
    assert current.get_attribute("data-turn") == "3"
    assert page.locator("#turn-3").bounding_box()
    heard_by = [e.action for e in heard.store.access_log.entries(user_id="rita")]
    assert heard_by.count("call.listen") >= 1


def test_in_a_browser_everything_is_reached_by_keys(heard: Site, browser_page: Page) -> None:
    page = browser_page
    opened(heard, page)
    page.wait_for_selector(".wave path.sound")
    page.locator("main").focus()
    page.keyboard.press("]")
    first = page.evaluate("document.activeElement.id")
    assert first.startswith("at-")
    page.keyboard.press("]")
    assert page.evaluate("document.activeElement.id") not in {first, ""}
    page.keyboard.press("[")
    assert page.evaluate("document.activeElement.id") == first
    assert page.locator("[data-now]").inner_text() == "00:05"
    page.keyboard.press("Enter")  # to the score
    place = page.evaluate("document.activeElement.closest('li').id")
    assert f"at-{place}" == first
    page.keyboard.press("Enter")  # and back
    assert page.evaluate("document.activeElement.id") == first
    page.locator("main").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-now]").inner_text() == "00:10"
    page.keyboard.press("Space")
    until(page, "!document.querySelector('audio').paused")
    page.keyboard.press("Space")
    until(page, "document.querySelector('audio').paused")
    wave = page.get_by_role("slider", name="Position in the recording")
    wave.focus()
    page.keyboard.press("Home")
    assert wave.get_attribute("aria-valuetext") == "00:00 of 00:45"
    # Whoever is bothered by single keys turns them off.
    page.locator(".keys summary").click()
    page.get_by_label("Use these keys").uncheck()
    page.locator("main").focus()
    page.keyboard.press("ArrowRight")
    assert wave.get_attribute("aria-valuetext") == "00:00 of 00:45"


def test_in_a_browser_a_score_is_corrected_by_keyboard_and_both_are_seen(
    heard: Site, browser_page: Page
) -> None:
    page = browser_page
    opened(heard, page)
    card = page.locator("#subject-empathy")
    card.locator("summary", has_text="Correct").focus()
    page.keyboard.press("Enter")
    card.get_by_label("4", exact=True).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("warm at the end [ ]")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    card.locator(".verdict-line").wait_for()
    said = card.inner_text()
    assert "2.0 of 5" in said
    assert "You say 4" in said
    assert "warm at the end [ ]" in said
    assert page.evaluate("document.activeElement.id") == "empathy"
    assert "1 of 6" in page.locator("#finish").inner_text()
    assert page.locator("#history").get_by_text("warm at the end").count() == 1
    page.get_by_role("button", name=re.compile("Agree with rest")).click()
    page.locator("#finish", has_text="5 of 6").wait_for()
    assert page.locator(".verdict-line").count() == 5
    page.get_by_role("button", name="Done", exact=True).click()
    page.get_by_text("Done. The review is kept.").wait_for()
    (review,) = heard.store.reviews.reviews(CALL)
    assert 0 <= review.seconds < 120


def test_in_a_browser_a_moment_is_commented_on_from_its_turn(
    heard: Site, browser_page: Page
) -> None:
    page = browser_page
    opened(heard, page)
    page.locator("#turn-3").hover()
    page.get_by_role("link", name="Comment on 00:15").click()
    assert page.get_by_label("From (min:sec)").input_value() == "00:15"
    assert page.evaluate("document.activeElement.id") == "comment-text"
    page.keyboard.type("Ask where they are & act <now>")
    page.get_by_role("button", name="Comment", exact=True).click()
    page.locator("#turn-3 .remark", has_text="Ask where they are & act <now>").wait_for()
    assert page.locator("#comments li").count() == 1
    assert page.locator(".wave path.said-here").count() == 1


def test_in_a_browser_markup_in_what_was_said_does_nothing(site: Site, browser_page: Page) -> None:
    site.store.reviews.comment("north-2", MARKUP, user_id="cora", role="coach", now=NOW)
    opened(site, browser_page, path="/calls/north-2")
    assert "taken over" not in browser_page.title()
    assert browser_page.locator("main b").count() == 0
    assert browser_page.get_by_text("document.title='taken over'").count() >= 2


def test_in_a_browser_marks_are_turned_off_criterion_by_criterion(
    heard: Site, browser_page: Page
) -> None:
    page = browser_page
    opened(heard, page)
    tab = page.locator("#at-empathy-1")
    assert tab.is_visible()
    page.locator("#show-empathy").uncheck()
    assert not tab.is_visible()
    assert page.locator("#at-urgency-1").is_visible()


def test_the_page_is_accessible_and_fits_its_window(heard: Site, browser_page: Page) -> None:
    heard.store.reviews.comment(
        CALL, "Ask here", user_id="cora", role="coach", now=NOW, start_s=5.0
    )
    opened(heard, browser_page)
    browser_page.wait_for_selector(".wave path.sound")
    assert_accessible(browser_page)
    for summary in browser_page.locator("details:not([open]) > summary").all():
        if summary.is_visible():
            summary.click()
    assert_accessible(browser_page)


def test_the_blind_page_is_accessible_and_done_in_a_browser(
    blind: Site, browser_page: Page
) -> None:
    page = browser_page
    opened(blind, page)
    assert_accessible(page)
    assert "telltale" not in page.content()
    for name in ("Empathy", "Active listening", "Handling of urgent calls"):
        page.get_by_role("group", name=name).get_by_label("2", exact=True).check()
    page.get_by_role("group", name="Urgency", exact=True).get_by_label("3 emergency").check()
    page.get_by_role("button", name="Done: keep and show me the rest").click()
    page.get_by_text("Now you see what the machine says").wait_for()
    assert "telltale reason" in page.content()


def test_a_pages_links_go_somewhere(heard: Site) -> None:
    client = heard.client("rita")
    html = client.get(PAGE).text
    links = set(re.findall(r'(?:href|src)="(/[^"#]*)', html)) - {PAGE}
    answers: dict[str, httpx.Response] = {link: client.get(link) for link in links if link != "/"}
    assert {answer.status_code for answer in answers.values()} <= {200}
