"""The OpenAPI document is true: what it says is asked and answered, found by schemathesis.

Schemathesis makes requests that fit the document, and ones that do not, for every operation and
three kinds of user, and checks each answer against the document. They are the same each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth
from web_house import AGENT_OF, OF, House

from qa_monitor.web import every_route

OPERATIONS = sorted(
    (method, route.path)
    for route in every_route()
    for method in route.methods or ()
    if route.include_in_schema
)
USERS = ("ada", "boss", "agnes")
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXAMPLES = 5
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def schema(house: House) -> Any:
    document = house.programs["ada"].get("/api/v1/openapi.json").json()
    config = schemathesis.Config.from_path(REPOSITORY / ".ci" / "schemathesis.toml")
    config.cache.enabled = False
    return schemathesis.openapi.from_dict(document, config=config)


def test_the_document_is_open_to_read_and_names_every_operation_once(house: House) -> None:
    document = house.programs["ada"].get("/api/v1/openapi.json").json()
    there = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert there == set(OPERATIONS)
    ids = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert len(ids) == len(set(ids))


def known_ids(house: House) -> Mapping[str, str]:
    """An id that is there for every name of a parameter."""
    found = {name: value for kind in house.objects.values() for name, value in kind["own"].items()}
    return found | {"call_id": OF["own"], "agent_id": AGENT_OF["own"]}


def check(house: House, case: Any, user: str, *, with_known: bool) -> None:
    """Ask, and hold the answer to the document."""
    mode = case.meta.generation.mode
    if with_known and mode is GenerationMode.POSITIVE:
        known = known_ids(house)
        for name in case.path_parameters or {}:
            case.path_parameters[name] = known.get(name, case.path_parameters[name])
    case.headers["Authorization"] = house.programs[user].headers["Authorization"]
    response = case.call(base_url=house.site.address)
    # Where a request is wrong on purpose, its token may be; here it is right all the same.
    excluded = [ignored_auth] if mode is GenerationMode.NEGATIVE else []
    case.validate_response(response, excluded_checks=excluded)
    if mode is GenerationMode.POSITIVE and response.status_code == 422:
        assert response.json()["title"] != "A value is wrong", response.json()["detail"]


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_answers_as_the_document_says(
    house: House, schema: Any, method: str, path: str, user: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), with_known=st.booleans())
    def ask(case: Any, with_known: bool) -> None:
        check(house, case, user, with_known=with_known)

    try:
        ask()
    finally:
        if method != "GET":
            house.restore()


def whose(path: str) -> str:
    """A user who may do what the operation is for."""
    if path.startswith(("/api/v1/me", "/api/v1/calls/{call_id}/a", "/api/v1/calls/{call_id}/d")):
        return "agnes"
    administered = ("users", "access-log", "holds", "deletions")
    return "ada" if path.startswith(tuple(f"/api/v1/{name}" for name in administered)) else "boss"


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_bound_of_every_value_is_kept(
    house: House, schema: Any, method: str, path: str
) -> None:
    operation = schema[path][method]
    user = "ada" if method == "DELETE" else whose(path)
    cases = schema.iter_coverage_cases(
        operation,
        generation_modes=list(MODES),
        generation_config=schema.config.generation_for(operation=operation),
    )
    asked = 0
    try:
        for case in cases:
            check(house, case, user, with_known=True)
            asked += 1
    finally:
        if method != "GET":
            house.restore()
    assert asked
