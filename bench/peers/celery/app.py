"""The Celery application that bench measures: one task that does nothing and has a result.

BENCH_SETUP names the file that says where Redis is. With BENCH_SIGNED=1 messages are signed by Celery's own `auth` serializer, with the key and
certificates in the folder BENCH_SIGNED_DIR.
"""

import json
import os
import ssl
from urllib.parse import quote

from celery import Celery

with open(os.environ["BENCH_SETUP"], encoding="utf-8") as f:
    LOGIN = json.load(f)["login"]

ADDR = os.environ.get("BENCH_ADDR") or LOGIN["addr"]
URL = f"rediss://{quote(LOGIN['user'])}:{quote(LOGIN['password'])}@{ADDR}/0"
TLS = {
    "ssl_ca_certs": LOGIN["ca"],
    "ssl_certfile": LOGIN["cert"],
    "ssl_keyfile": LOGIN["key"],
    "ssl_cert_reqs": ssl.CERT_REQUIRED,
}

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    broker_use_ssl=TLS,
    redis_backend_use_ssl=TLS,
    broker_connection_retry_on_startup=True,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    worker_send_task_events=False,
    result_expires=3600,
)

if os.environ.get("BENCH_SIGNED") == "1":
    FOLDER = os.environ["BENCH_SIGNED_DIR"]
    app.conf.update(
        security_key=f"{FOLDER}/sign.key",
        security_certificate=f"{FOLDER}/sign.pem",
        security_cert_store=f"{FOLDER}/sign.pem",
        task_serializer="auth",
        result_serializer="auth",
        event_serializer="auth",
        accept_content=["auth"],
        result_accept_content=["auth"],
    )
    app.setup_security()


@app.task(name="bench.noop")
def noop(_payload):
    return {"Sum": 3}
