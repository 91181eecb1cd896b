"""What we rely on in the local store beyond the calls of S3: it is killed whenever it is stopped."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.support.s3 import BUCKET, run_seaweedfs

SENDERS = 4
ENOUGH = 60


def test_a_kill_loses_nothing_of_what_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: dict[str, bytes] = {}
    enough = threading.Event()

    def send_until_it_is_gone(client: Any, sender: int) -> None:
        number = 0
        while True:
            key, content = f"{sender}/{number}", os.urandom(1000 * (number % 9) + 1)
            try:
                client.put_object(Bucket=BUCKET, Key=key, Body=content)
            except (BotoCoreError, ClientError):
                assert enough.is_set(), "it was not killed yet"
                return
            acknowledged[key] = content
            number += 1
            if len(acknowledged) >= ENOUGH:
                enough.set()

    with ThreadPoolExecutor(SENDERS) as senders:
        with run_seaweedfs(tmp_path) as store:
            client = store.client_with(retries={"total_max_attempts": 1})
            ends = [senders.submit(send_until_it_is_gone, client, n) for n in range(SENDERS)]
            assert enough.wait(30)
        for end in ends:
            end.result()

    with run_seaweedfs(tmp_path) as store:  # on other ports, too
        for key, content in acknowledged.items():
            assert store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == content
