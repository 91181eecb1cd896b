"""The cookie that is left of a signup once it is sent."""

import time

import pytest

from api.access import session
from api.forms import closing
from api.services import Services
from tests.support.listeners import public
from tests.support.services import Scene


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_opens_the_end_for_as_long_as_it_says_and_no_longer(services: Services) -> None:
    scene = await Scene.create(services)
    await scene.stored()
    await closing.submit(services, scene.form)
    shown = []
    async with public(services) as browser:
        for left in (60, -1):
            expires = int(time.time()) + left
            signature = session._signature("secret", scene.form.id, expires)
            cookie = f"{session.SENT}={scene.form.id}.{expires}.{signature}"
            page = await browser.get("/signup/thank-you", headers={"Cookie": cookie})
            shown.append("Your reference number" in page.text)
    assert shown == [True, False]
