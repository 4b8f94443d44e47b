"""How far machine and reviewers agree: figures, charts, and the labelled calls they come from."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from qa_monitor.accounts import Permission
from qa_monitor.reviewing import (
    ENOUGH,
    Agreement,
    AlertPrecision,
    Basis,
    Interval,
    LabelledExport,
    LabelledFormat,
    agreement,
    alert_precision,
    export_labelled,
)
from qa_monitor.store import SampleCount
from qa_monitor.web.agreement_charts import kappa_chart, months_chart
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

__all__ = ["api", "pages"]

pages = page_router()
api = api_router("agreement")

_MONTHS = 12
_MOST_MONTHS = 60
_MOST_LINES = 500

OfBasis = Annotated[
    Basis,
    Query(
        description="Which readings count: those of the random sample, read blind; all that were "
        "read blind; or all."
    ),
]
OfPurpose = Annotated[
    LabelledFormat,
    Query(description="For evaluation without PHI spans; for training with placeholders marked."),
]
Months = Annotated[
    int, Query(ge=1, le=_MOST_MONTHS, description="Calls of so many months, this one included.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementReport:
    """Figures of the calls that began since `since`.

    Kappas are 1 for full agreement and 0 for what chance gives; `bias` is the machine's mean less
    the reviewers', in points. `low` and `high` are 95 % intervals. What rests on fewer than ten
    calls is null. `sample` tells what became of the calls drawn at random, by month.
    """

    since: datetime
    agreement: Agreement
    alerts: tuple[AlertPrecision, ...]
    sample: tuple[SampleCount, ...]


def _report(viewer: Viewer, basis: Basis, months: int) -> AgreementReport:
    scope = viewer.require(Permission.SEE_AGREEMENT)
    since = _first_of_month(viewer.now, months)
    return AgreementReport(
        since=since,
        agreement=agreement(viewer.store.ratings.of_calls(scope, since=since), basis),
        alerts=alert_precision(viewer.store.alerting.outcomes(scope, since)),
        sample=viewer.store.queueing.sample(scope, since=since),
    )


def _first_of_month(now: datetime, months: int) -> datetime:
    """The beginning of the first of ``months`` months, that of ``now`` being the last."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    years, month = divmod(first.month - months, 12)
    return first.replace(year=first.year + years, month=month + 1)


# --- pages ---------------------------------------------------------------------------------------


@pages.get("/agreement", name="agreement")
def agreement_page(
    viewer: Signed, basis: OfBasis = Basis.RANDOM, months: Months = _MONTHS
) -> Response:
    """The page."""
    report = _report(viewer, basis, months)
    viewer.note("agreement.view")
    return viewer.page(
        "agreement/page.html.j2",
        report=report,
        found=report.agreement,
        basis=basis,
        Basis=Basis,
        months=months,
        enough=ENOUGH,
        people={user.user_id: user.name for user in viewer.store.people.users()},
        share=viewer.monitor.config.review.random_share,
        kappa_chart=kappa_chart,
        months_chart=months_chart,
    )


@pages.get("/agreement.csv", name="agreement_csv")
def agreement_csv(
    viewer: Signed, basis: OfBasis = Basis.RANDOM, months: Months = _MONTHS
) -> Response:
    """The figures as a file for a spreadsheet."""
    report = _report(viewer, basis, months)
    viewer.note("agreement.export")
    return Response(
        render_csv(report),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="agreement-{basis}.csv"'},
    )


def render_csv(report: AgreementReport) -> str:
    """A line for each figure: who with whom, head, part, measure, calls, value and interval."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["readings", "between", "head", "part", "measure", "calls", "value", "low", "high"]
    )

    def put(between: str, head: str, part: str, measure: str, calls: int, figure: Interval) -> None:
        shown = figure.as_dict()
        numbers = [shown[name] for name in ("value", "low", "high")]
        writer.writerow(
            [
                report.agreement.basis.value,
                between,
                head,
                part,
                measure,
                calls,
                *("" if number is None else number for number in numbers),
            ]
        )

    for one in report.agreement.subjects:
        name = one.head.subject
        for measure, figure in (
            ("kappa", one.kappa),
            ("exact", one.exact),
            ("within_one", one.within_one),
            ("bias", one.bias),
        ):
            put("machine and reviewers", name, "all", measure, one.calls, figure)
        for month in one.months:
            put("machine and reviewers", name, month.month, "kappa", month.calls, month.kappa)
        for version in one.versions:
            part = f"{version.scoring} {version.rubric}"
            put("machine and reviewers", name, part, "kappa", version.calls, version.kappa)
            put("machine and reviewers", name, part, "bias", version.calls, version.bias)
    for among in report.agreement.among:
        for measure, figure in (
            ("kappa", among.kappa),
            ("alpha", among.alpha),
            ("exact", among.exact),
        ):
            put("reviewers", among.head.subject, "all", measure, among.calls, figure)
        for pair in among.pairs:
            part = f"{pair.first} {pair.second}"
            put("reviewers", among.head.subject, part, "kappa", pair.calls, pair.kappa)
    for alert in report.alerts:
        judged = alert.right + alert.false_alarms
        put("alerts and people", alert.reason, "all", "right", judged, alert.share)
    return out.getvalue()


@pages.get("/agreement/labelled-calls", name="labelled_calls_file")
def labelled_file(
    viewer: Signed, basis: OfBasis = Basis.ALL, purpose: OfPurpose = LabelledFormat.EVALUATION
) -> Response:
    """All labelled calls as a file that `qa-monitor evaluate`, or training, reads."""
    scope = viewer.require(Permission.EXPORT_LABELS)
    viewer.note("agreement.export", kind="labelled_calls", object_id=basis.value)
    export = export_labelled(
        viewer.store, scope, basis=basis, purpose=purpose, blind_for=viewer.user.user_id
    )
    name = f"labelled-calls-{basis}-{purpose}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_left_out(export)}
    return JsonLines(export.text(), headers=headers)


# --- API -----------------------------------------------------------------------------------------


class JsonLines(Response):
    """A JSON object a line."""

    media_type = "application/x-ndjson"


def _left_out(export: LabelledExport) -> dict[str, str]:
    headers = {
        "X-Left-Out-Incomplete": str(export.incomplete),
        "X-Left-Out-Disagreeing": str(export.disagreeing),
    }
    if export.next_after is not None:
        headers["X-Next-After"] = export.next_after
    return headers


@api.get("/agreement", name="agreement_figures", summary="How far machine and reviewers agree")
def agreement_api(
    viewer: Signed, basis: OfBasis = Basis.RANDOM, months: Months = _MONTHS
) -> AgreementReport:
    """Kappa, alpha, shares and bias with intervals, by head, month and version; alerts; sample."""
    report = _report(viewer, basis, months)
    viewer.note("agreement.view")
    return report


@api.get(
    "/labelled-calls",
    name="labelled_calls",
    summary="What reviewers found, as labelled calls",
    response_class=JsonLines,
    responses={200: {"description": "A labelled call a line, redacted text only"}},
)
def labelled_api(
    viewer: Signed,
    basis: OfBasis = Basis.ALL,
    purpose: OfPurpose = LabelledFormat.EVALUATION,
    after: Annotated[
        str | None,
        Query(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
            description="Go on after this call: X-Next-After of the answer before.",
        ),
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=_MOST_LINES, description="Of at most so many reviewed calls.")
    ] = 100,
) -> Response:
    """JSON Lines that `qa-monitor evaluate` reads, in the order of the call ids.

    Calls on which reviewers disagree, or of which a head was not judged, are left out and counted
    in `X-Left-Out-Disagreeing` and `X-Left-Out-Incomplete`. `X-Next-After` is there when there may
    be more.
    """
    scope = viewer.require(Permission.EXPORT_LABELS)
    viewer.note("agreement.export", kind="labelled_calls", object_id=basis.value)
    export = export_labelled(
        viewer.store,
        scope,
        basis=basis,
        purpose=purpose,
        after=after,
        limit=limit,
        blind_for=viewer.user.user_id,
    )
    return JsonLines(export.text(), headers=_left_out(export))
