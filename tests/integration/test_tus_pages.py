"""tus for the pages of the service itself, whose script sends a cookie and no token."""

import httpx
import pytest

from api.services import Services
from tests.support.listeners import new_form, public
from tests.support.tus import BYTES, CONTENT, TUS, code_of

OUR_PAGE = {"Origin": "http://public"}


async def begin(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    form = await new_form(client)
    client.headers["Cookie"] = f"longshore_form={form['token']}"
    del client.headers["Authorization"]
    path = f"/v1/forms/{form['id']}/fields/bulk/tus"
    length = {"Upload-Length": str(len(CONTENT))}
    return await client.post(path, headers={**TUS, **length, **headers})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_page_of_ours_begins_goes_on_with_and_removes_an_upload_by_its_cookie(
    services: Services,
) -> None:
    async with public(services) as client:
        answer = await begin(client, **OUR_PAGE)
        assert answer.status_code == 201, answer.text
        url = answer.headers["location"]
        sent = {**BYTES, **OUR_PAGE, "Upload-Offset": "0"}
        assert (await client.patch(url, content=CONTENT[:9], headers=sent)).status_code == 204
        read = await client.get(url, headers={"Sec-Fetch-Site": "same-origin"})
        assert read.json()["progress"]["received"] == 9
        assert (await client.delete(url, headers={**TUS, **OUR_PAGE})).status_code == 204


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("origin", [{}, {"Origin": "https://elsewhere.example"}])
async def test_no_page_of_another_site_begins_one_by_that_cookie(
    services: Services, origin: dict[str, str]
) -> None:
    async with public(services) as client:
        assert code_of(await begin(client, **origin)) == (401, "unauthorized")
