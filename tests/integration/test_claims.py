"""Claims at a real process that was frozen for a while."""

import json
import signal
import socket
import time
from pathlib import Path

from tests.support.api_process import ApiProcess
from tests.support.client import FormClient
from tests.support.faulty_stack import until


def test_a_claim_whose_worker_gave_up_meanwhile_is_not_carried_out(tmp_path: Path) -> None:
    with ApiProcess(tmp_path) as api:
        form = FormClient(api.url, "acceptance")
        gone, waiting = form.upload("needed", b"x" * 100), form.upload("pair", b"x" * 100)
        assert api.process
        api.process.send_signal(signal.SIGSTOP)
        _claim(api, gone["id"]).close()
        with _claim(api, waiting["id"]) as connection:
            api.process.send_signal(signal.SIGCONT)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        until(lambda: '"processing"' in _read(form, waiting), "nobody had it", 10)
        time.sleep(0.5)
        read = json.loads(_read(form, gone))
        assert (read["status"], read["attempts"]) == ("staged", 0)


def _claim(api: ApiProcess, upload_id: str) -> socket.socket:
    body = json.dumps({"claim_id": "claim-0001"})
    connection = socket.create_connection(("127.0.0.1", api.internal_port), timeout=30)
    connection.sendall(
        f"POST /internal/uploads/{upload_id}/claim HTTP/1.1\r\nHost: api\r\n"
        "Authorization: Bearer secret\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def _read(form: FormClient, upload: dict[str, str]) -> str:
    return form.http.get(f"/v1/uploads/{upload['id']}").text
