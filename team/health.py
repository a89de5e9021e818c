"""Say by the exit status whether a server answers, or whether Prefect's server hears this machine's worker.

python health.py http://127.0.0.1:5000/health
python health.py worker gpu
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import urllib.request


def answers(url: str) -> bool:
    """Tell whether a server answers with success."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)


def works(pool: str) -> bool:
    """Tell whether Prefect's server has a worker of this machine in the pool that is online."""
    request = urllib.request.Request(  # noqa: S310
        f"{os.environ['PREFECT_API_URL']}/work_pools/{pool}/workers/filter",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    if user_and_password := os.environ.get("PREFECT_API_AUTH_STRING"):
        request.add_header("Authorization", f"Basic {base64.b64encode(user_and_password.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        workers = json.load(answer)
    own = f"{pool}-{socket.gethostname()}-"
    return any(worker["name"].startswith(own) and worker["status"] == "ONLINE" for worker in workers)


if __name__ == "__main__":
    _, what, *pools = sys.argv
    try:
        healthy = works(pools[0]) if what == "worker" else answers(what)
    except OSError as error:
        sys.exit(f"{what}: {error}")
    sys.exit(0 if healthy else f"{what}: not healthy")
