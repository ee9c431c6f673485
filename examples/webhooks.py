"""The endpoint of the demo's app: a web server that stores what a provider posts, and answers at once.

    python examples/webhooks.py &
    queuekit worker queuekit.demo.app:qk &
    head -1 examples/events.jsonl | curl --data-binary @- localhost:8000
    queuekit jobs list

Both find the store by ``QUEUEKIT_URL``; without it, it is a SQLite file in this folder.
"""

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from queuekit import BackendUnavailable, OutcomeUnknown
from queuekit.demo.app import receive


class Webhooks(BaseHTTPRequestHandler):
    """POST stores a job; only then is it received, so that the provider sends it again if it could not be."""

    def do_POST(self) -> None:
        """Store the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            job = receive.enqueue_sync(body.decode(errors="replace"))
        except (BackendUnavailable, OutcomeUnknown):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self.send_response(HTTPStatus.ACCEPTED)
        self.end_headers()
        self.wfile.write(f"{job.id}\n".encode())


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ThreadingHTTPServer(("127.0.0.1", port), Webhooks).serve_forever()
