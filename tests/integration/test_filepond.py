"""What FilePond restores of a file that isn't in the bucket."""

import httpx

from api.services import Services
from api.uploads import outcomes, work
from shared.ids import new_id
from tests.support.listeners import new_form, public
from tests.support.services import rejected

CONTENT = b"some batches of bytes" * 20_000


async def sent(client: httpx.AsyncClient) -> str:
    """The id of an upload that no worker takes."""
    form = await new_form(client)
    path = f"/v1/forms/{form['id']}/fields/bulk/filepond"
    answer = await client.post(path, files={"bulk": ("a.png", CONTENT, "image/png")})
    assert answer.status_code == 201, answer.text
    return answer.text


async def restore(client: httpx.AsyncClient, upload_id: str, method: str = "GET") -> httpx.Response:
    form_id = (await client.get(f"/v1/uploads/{upload_id}")).json()["form_id"]
    path = f"/v1/forms/{form_id}/fields/bulk/filepond"
    return await client.request(method, path, params={"restore": upload_id})


async def test_while_a_file_is_checked_its_bytes_are_read_as_they_were_sent(
    services: Services,
) -> None:
    async with public(services) as client:
        upload_id = await sent(client)
        await work.claim(services, upload_id, new_id("clm"))
        answer = await restore(client, upload_id)
        asked = await restore(client, upload_id, "HEAD")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-length"] == str(len(CONTENT)) == asked.headers["content-length"]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="a.png"')
    assert "sandbox" in answer.headers["content-security-policy"]
    assert asked.content == b""


async def test_a_rejected_file_is_not_given_back(services: Services) -> None:
    async with public(services) as client:
        upload_id = await sent(client)
        order = await work.claim(services, upload_id, new_id("clm"))
        await outcomes.apply(services, order.form_id, rejected(order))
        answer = await restore(client, upload_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "not-stored")


async def test_bytes_that_are_gone_meanwhile_are_asked_for_again(services: Services) -> None:
    async with public(services) as client:
        upload_id = await sent(client)
        await services.staging.delete(upload_id)
        answer = await restore(client, upload_id)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_how_long_filepond_waits_to_be_acknowledged_is_measured(services: Services) -> None:
    async with public(services) as client:
        await sent(client)
    (metric,) = services.metrics.acknowledgement.collect()
    assert [each.value for each in metric.samples if each.name.endswith("_count")] == [1]
