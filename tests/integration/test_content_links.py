"""How long a link to a stored object works."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from api.access.tokens import ServiceKey
from api.routes.deps import own_form
from api.services import Services
from tests.support.listeners import new_form, public
from tests.support.services import Scene


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_derivative_that_is_not_there_is_not_found(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        row = await own_form(services, ServiceKey("tests"), form["id"])
        upload = await Scene(services, row).stored()
        answer = await client.get(f"/v1/uploads/{upload.id}/content/huge")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_link_works_for_five_minutes_and_says_so(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        row = await own_form(services, ServiceKey("tests"), form["id"])
        upload = await Scene(services, row).stored()
        path = f"/v1/uploads/{upload.id}/content"
        told = (await client.get(path, headers={"Accept": "application/json"})).json()
        led = (await client.get(path)).headers["location"]
    queries = [parse_qs(urlsplit(url).query) for url in (told["url"], led)]
    assert [query["X-Amz-Expires"] for query in queries] == [["300"]] * 2
    (date,) = queries[0]["X-Amz-Date"]
    signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    said = datetime.fromisoformat(told["expires_at"]) - signed
    assert abs(said - timedelta(minutes=5)) < timedelta(minutes=1)
