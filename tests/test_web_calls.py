"""The list of calls: each list is an address, and shows its reader's own reach only."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_records import NOW, make_record
from web_fixtures import CALLS, SIZES, Site, assert_accessible

from qa_monitor.calls import CallType, Direction, EscalationOutcome
from qa_monitor.store import Agent, AlertFilter, ReviewState, Sort
from qa_monitor.web.calls import NONE, CallQuery, _query_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NORTH = {call_id for call_id in CALLS if call_id.startswith("north")}


def linked(page: str) -> set[str]:
    """The ids of the calls that a page links to."""
    return {call_id for call_id in CALLS if f'href="/calls/{call_id}"' in page}


# --- addresses -----------------------------------------------------------------------------------


FOUND: tuple[tuple[str, set[str]], ...] = (
    ("", set(CALLS)),
    ("q=chest", set(CALLS) - {"north-2"}),
    ("q=PERSON", {"north-2"}),
    ("q=%22the+chest%22", set(CALLS) - {"north-2"}),
    ("q=bol*", {"north-2"}),
    ("agent=agent-01&agent=agent-03", NORTH),
    ("agent=(none)", {"nobody-1"}),
    ("team=south", {"south-1", "south-2"}),
    ("team=south&urgency=3", {"south-1"}),
    ("queue=(none)", set(CALLS)),
    ("type=emergency", {"north-1", "south-1"}),
    ("type=unknown", set()),
    ("urgency=1&urgency=2", {"nobody-1", "north-3"}),
    ("outcome=properly&outcome=missed", {"north-1", "north-3", "south-1"}),
    ("outcome=unknown", {"north-2", "south-2", "nobody-1"}),
    ("review=needs_review", {"north-2"}),
    ("review=reviewed", set()),
    ("alert=none", {"north-2", "south-2", "nobody-1"}),
    ("direction=outbound", set()),
    ("empathy_from=2.5&empathy_to=2.5", set(CALLS)),
    ("empathy_from=2.6", set()),
    ("active_listening_to=5", set()),
    ("escalation_to=1", {"north-1", "north-3", "south-1"}),
    ("total_from=40&total_to=40", set(CALLS)),
    ("total_to=39.5", set()),
    ("minutes_from=1&minutes_to=2", set(CALLS)),
    ("minutes_from=2", set()),
    ("since=2026-03-02&until=2026-03-02", set(CALLS)),
    ("since=2026-03-03", set()),
    ("until=2026-03-01", set()),
)
"""Filters, and the calls that ``boss`` finds with each."""


def test_each_filter_stands_in_the_address(site: Site) -> None:
    client, api = site.client("boss"), site.api("boss")
    for query, found in FOUND:
        page = client.get(f"/calls?{query}" if query else "/calls")
        assert linked(page.text) == found, query
        answer = api.get(f"/api/v1/calls?{query}")
        assert {row["call_id"] for row in answer.json()["rows"]} == found, query
        file = csv.DictReader(io.StringIO(client.get(f"/calls.csv?{query}").text))
        assert {row["call_id"] for row in file} == found, query


def test_blank_fields_of_the_form_leave_the_address(site: Site) -> None:
    answer = site.client("boss").get("/calls?q=&urgency=3&alert=&total_from=&sort=newest")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/calls?urgency=3"


def test_a_value_that_cannot_be_is_named_and_not_repeated(site: Site) -> None:
    client, api = site.client("boss"), site.api("boss")
    for query in ("total_from=911.5", "urgency=nonsense", "since=yesterday", f"q={'z' * 201}"):
        name, value = query.split("=")
        for answer in (
            client.get(f"/calls?{query}"),
            client.get(f"/calls.csv?{query}"),
            api.get(f"/api/v1/calls?{query}"),
        ):
            assert answer.status_code == 422
            assert name in answer.text.replace(" ", "_")
            assert value not in answer.text


def test_the_api_refuses_what_it_does_not_know(site: Site) -> None:
    api = site.api("boss")
    assert api.get("/api/v1/calls?colour=red").status_code == 422
    assert api.get("/api/v1/calls?limit=201").status_code == 422
    assert api.get("/api/v1/calls?cursor=abc").status_code == 422
    assert api.get("/api/v1/calls?cursor=a%20b").status_code == 422
    assert site.client("boss").get("/calls?colour=red").status_code == 200


def test_a_page_of_another_list_leads_to_a_word_and_not_to_a_fault(site: Site) -> None:
    cursor = site.api("boss").get("/api/v1/calls?limit=2").json()["next_cursor"]
    answer = site.client("boss").get(f"/calls?sort=longest&cursor={cursor}")
    assert answer.status_code == 422
    assert "first page" in answer.text


_queries = st.builds(
    CallQuery,
    q=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    since=st.none() | st.dates(),
    agent=st.lists(st.sampled_from(["agent-01", NONE, "a&b=c", "é"]), unique=True, max_size=2),
    type=st.lists(st.sampled_from([*CallType, "unknown"]), unique=True, max_size=2),
    urgency=st.lists(st.sampled_from(["0", "3", "unknown"]), unique=True, max_size=2),
    outcome=st.lists(st.sampled_from([*EscalationOutcome, "unknown"]), unique=True, max_size=2),
    review=st.lists(st.sampled_from(ReviewState), unique=True, max_size=2),
    alert=st.none() | st.sampled_from(AlertFilter),
    direction=st.lists(st.sampled_from(Direction), unique=True, max_size=1),
    empathy_from=st.none() | st.sampled_from([1.0, 2.5, 5.0]),
    total_to=st.none() | st.sampled_from([0.0, 33.3, 100.0]),
    sort=st.sampled_from(Sort),
)


@given(query=_queries)
def test_a_list_comes_back_from_its_address(query: CallQuery) -> None:
    assert _query_of(query.parameters()) == (query, None)


@given(query=_queries)
def test_a_filter_taken_away_leaves_all_others(query: CallQuery) -> None:
    parameters = query.parameters()
    for name, value in parameters:
        assert query.parameters(without=(name, value)) == [
            pair for pair in parameters if pair != (name, value)
        ]


def test_days_of_any_year_can_be_asked_for() -> None:
    for day in (date.min, date.max):
        CallQuery(since=day, until=day).filter(ZoneInfo("Asia/Tokyo"))


def test_days_are_those_of_the_centre_and_whole() -> None:
    query = CallQuery(since=date(2026, 3, 7), until=date(2026, 3, 8))
    chosen = query.filter(ZoneInfo("America/New_York"))
    # The clocks go forward on the 8th.
    assert chosen.since == datetime(2026, 3, 7, 5, tzinfo=UTC)
    assert chosen.until == datetime(2026, 3, 9, 4, tzinfo=UTC)


# --- who sees what -------------------------------------------------------------------------------


REACH = {
    "rita": NORTH,
    "cora": NORTH,
    "sam": NORTH,
    "agnes": {"north-1", "north-2"},
    "amos": {"south-1", "south-2"},
    "boss": set(CALLS),
}


def test_everybody_is_shown_their_own_reach_and_no_trace_of_more(site: Site) -> None:
    for user_id, reach in REACH.items():
        client, api = site.client(user_id), site.api(user_id)
        for query in ("", "?q=pain", "?team=south&team=north", "?sort=oldest"):
            page = client.get(f"/calls{query}").text
            found = api.get(f"/api/v1/calls{query}").json()
            file = client.get(f"/calls.csv{query}").text
            assert found["total"] == len(found["rows"])
            if "team" not in query and "q=" not in query:
                assert linked(page) == {row["call_id"] for row in found["rows"]} == reach
            for call_id in set(CALLS) - reach:
                assert call_id not in page
                assert call_id not in file
                assert call_id not in str(found)


def test_filters_offer_what_is_within_reach(site: Site) -> None:
    for user_id, offered in (
        ("rita", {"agent-01", "agent-03", "north"}),
        ("agnes", set()),
        ("boss", {"agent-01", "agent-02", "agent-03", "north", "south"}),
    ):
        page = site.client(user_id).get("/calls").text
        everything = {"agent-01", "agent-02", "agent-03", "north", "south"}
        assert {value for value in everything if f'value="{value}"' in page} == offered


def test_who_administers_sees_no_calls(site: Site) -> None:
    client, api = site.client("ada"), site.api("ada")
    for asked in (client, api):
        addresses = ("/calls", "/calls.csv") if asked is client else ("/api/v1/calls",)
        for address in addresses:
            assert asked.get(address).status_code == 403
            (entry, *_) = site.store.access_log.entries(user_id="ada", limit=1)
            assert entry.outcome == "refused"


def test_lists_and_files_are_noted_without_what_was_searched(site: Site) -> None:
    client = site.client("rita")
    client.get("/calls?q=zanzibar")
    client.get("/calls.csv?q=zanzibar")
    site.api("rita").get("/api/v1/calls?q=zanzibar")
    entries = site.store.access_log.entries(user_id="rita")
    assert [(entry.via, entry.action) for entry in entries][:3] == [
        ("token", "calls.list"),
        ("session", "calls.export"),
        ("session", "calls.list"),
    ]
    assert "zanzibar" not in repr(entries)


# --- what is shown -------------------------------------------------------------------------------


def test_a_page_shows_fifty_calls_and_leads_to_the_others_and_back(site: Site) -> None:
    site.store.save_records(
        [
            (make_record(f"more-{n:03d}", started_at=NOW + timedelta(days=1 + n)), (), NOW)
            for n in range(120)
        ]
    )
    client = site.client("boss")
    seen: list[str] = []
    address: str | None = "/calls?type=emergency"
    addresses = []
    while address is not None:
        addresses.append(address)
        page = client.get(address).text
        assert "<strong>122</strong>" in page
        ids = [part.split('"')[0] for part in page.split('<th scope="row"><a href="/calls/')[1:]]
        assert len(ids) <= 50
        seen += ids
        address = link(page, "next")
    assert len(seen) == len(set(seen)) == 122
    assert seen[:2] == ["more-119", "more-118"]
    last = client.get(addresses[-1]).text
    before = client.get(link(last, "prev") or "").text
    assert seen[50] in before
    assert dict(parse_qsl(urlsplit(addresses[-1]).query))["type"] == "emergency"


def link(page: str, rel: str) -> str | None:
    _, found, rest = page.partition(f'rel="{rel}" href="')
    return rest.partition('"')[0].replace("&amp;", "&") if found else None


def test_the_api_pages_through_all_calls_once(site: Site) -> None:
    api = site.api("boss")
    seen, cursor = [], None
    while True:
        parameters = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        found = api.get("/api/v1/calls", params=parameters).json()
        assert (found["total"], found["is_total_exact"]) == (len(CALLS), True)
        seen += [row["call_id"] for row in found["rows"]]
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert seen == list(reversed(CALLS))


def test_times_of_the_api_have_a_zone_and_matches_are_offsets(site: Site) -> None:
    (row,) = site.api("boss").get("/api/v1/calls?q=chest&agent=agent-03").json()["rows"]
    assert datetime.fromisoformat(row["started_at"]) == NOW + timedelta(hours=2)
    found = row["found"]
    assert [found["text"][start:end] for start, end in found["marks"]] == ["chest"]
    assert (found["turn_index"], found["role"], found["start_s"]) == (0, "caller", 1.0)


def test_markup_in_a_call_is_text_and_what_was_taken_out_is_its_kind(site: Site) -> None:
    page = site.client("boss").get("/calls?q=person+bold+PERSON").text
    assert "No call fits" in page
    page = site.client("boss").get("/calls?q=bold+PERSON").text
    assert "&lt;b&gt;<mark>bold</mark>&lt;/b&gt;" in page
    assert '<mark><span class="chip">name</span></mark>' in page
    assert "<b>" not in page
    assert "PERSON_1" not in page


def test_a_search_that_is_markup_itself_is_shown_as_text(site: Site) -> None:
    page = site.client("boss").get("/calls?q=%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_no_cell_of_the_file_is_a_formula(site: Site) -> None:
    site.store.people.set_agents([Agent(agent_id="agent-01", name='=HYPERLINK("x")', team="@sum")])
    file = site.client("boss").get("/calls.csv?agent=agent-01")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert {row["agent_name"] for row in rows} == {'\'=HYPERLINK("x")'}
    assert {row["team"] for row in rows} == {"'@sum"}
    assert {row["active_listening"] for row in rows} == {"not assessed"}


def test_an_empty_list_says_why(site: Site) -> None:
    assert "No call fits" in site.client("boss").get("/calls?total_to=1").text
    assert "No call fits" in site.client("boss").get("/calls?q=%21%21").text
    for call_id in CALLS:
        site.store.delete_call(call_id, scrub=False)
    assert "No call is scored yet" in site.client("boss").get("/calls").text


def test_a_script_is_given_the_results_alone_and_the_clean_address(site: Site) -> None:
    client = site.client("boss")
    htmx = {"HX-Request": "true"}
    part = client.get("/calls?q=&urgency=3&total_to=", headers=htmx)
    assert part.status_code == 200
    assert part.text.lstrip().startswith('<section id="results"')
    assert part.headers["HX-Push-Url"] == "/calls?urgency=3"
    back = {**htmx, "HX-History-Restore-Request": "true"}
    assert "<!doctype html>" in client.get("/calls?urgency=3", headers=back).text


# --- kept lists ----------------------------------------------------------------------------------


def test_a_list_is_kept_opened_and_dropped(site: Site) -> None:
    client = site.client("rita")
    form = {"name": "  Urgent   ones ", "query": "urgency=3&q=&junk=1&sort=oldest"}
    answer = client.post("/saved-views", data=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/calls?urgency=3&sort=oldest"
    page = client.get("/calls").text
    assert '<a href="/calls?urgency=3&amp;sort=oldest">Urgent ones</a>' in page
    assert "Urgent ones" not in site.client("sam").get("/calls").text
    (view,) = site.store.browsing.views("rita")
    other = site.client("sam").post(f"/saved-views/{view.view_id}/delete")
    assert other.status_code == 404
    assert client.post(f"/saved-views/{view.view_id}/delete").status_code == 303
    assert "Urgent ones" not in client.get("/calls").text


@pytest.mark.parametrize(
    "form", [{"name": " ", "query": ""}, {"name": "x", "query": "urgency=9"}, {"name": "x" * 61}]
)
def test_what_cannot_be_kept_is_refused(site: Site, form: dict[str, str]) -> None:
    assert site.client("rita").post("/saved-views", data=form).status_code == 422
    assert site.store.browsing.views("rita") == ()


def test_lists_are_kept_by_forms_of_this_site_only(site: Site) -> None:
    client = site.client("rita")
    client.headers["X-CSRF-Token"] = "wrong"
    assert client.post("/saved-views", data={"name": "x"}).status_code == 403


# --- in a browser --------------------------------------------------------------------------------


def test_a_search_by_keyboard_changes_results_and_address(site: Site, browser_page: Page) -> None:
    page = browser_page
    site.sign_in(page, "boss")
    page.goto(f"{site.address}/calls")
    page.get_by_label("Words said").focus()
    page.keyboard.type("bold")
    page.keyboard.press("Enter")
    page.get_by_text("1 call in which that is said").wait_for()
    assert page.url.endswith("/calls?q=bold")
    assert page.locator("mark").inner_text() == "bold"
    assert page.title() == "Calls · qa_monitor"
    page.get_by_role("link", name="Without the filter “bold”").focus()
    page.keyboard.press("Enter")
    page.get_by_text("6 calls").wait_for()
    page.go_back()
    page.get_by_text("1 call in which that is said").wait_for()
    page.get_by_role("heading", name="Calls", exact=True).wait_for()
    assert_accessible(page)


def test_filters_are_chosen_and_the_list_is_kept(site: Site, browser_page: Page) -> None:
    page = browser_page
    site.sign_in(page, "boss")
    page.goto(f"{site.address}/calls")
    page.get_by_text("All filters", exact=True).click()
    page.get_by_role("group", name="Urgency").get_by_label("emergency").check()
    page.get_by_text("2 calls").wait_for()
    page.get_by_label("Teams").select_option("north")
    page.get_by_text("1 call", exact=True).wait_for()
    assert_accessible(page)
    page.get_by_label("Name").fill("North, urgent")
    page.get_by_role("button", name="Keep").click()
    kept = page.get_by_role("navigation", name="Kept lists").get_by_role("link")
    kept.wait_for()
    assert kept.get_attribute("aria-current") == "page"
    assert page.url.endswith("/calls?team=north&urgency=3")
    page.get_by_role("link", name="2 Mar 2026, 09:30").wait_for()
    assert_accessible(page)


@pytest.fixture
def without_script(browser: Browser) -> Iterator[Page]:
    width, height = SIZES["narrow"]
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": width, "height": height}
    )
    yield context.new_page()
    context.close()


def test_the_list_works_without_a_script(site: Site, without_script: Page) -> None:
    page = without_script
    page.goto(f"{site.address}/sign-in")
    page.get_by_label("User name").fill("boss")
    page.get_by_label("Password").fill("quiet-harbour-41")
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{site.address}/calls")
    page.get_by_text("All filters", exact=True).click()
    page.get_by_role("group", name="Escalation").get_by_label("passed on properly").check()
    page.get_by_role("button", name="Show").last.click()
    assert page.url.endswith("/calls?outcome=properly")
    assert page.get_by_text("1 call", exact=True).is_visible()
