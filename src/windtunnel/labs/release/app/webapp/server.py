"""Serves the page. Usage: python3 -m webapp.server PORT TEXT_FILE"""

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from webapp.page import render


def handler(text):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = render(text, socket.gethostname()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def main():
    port, text_file = int(sys.argv[1]), sys.argv[2]
    with open(text_file) as file:
        text = file.read().strip()
    ThreadingHTTPServer(("0.0.0.0", port), handler(text)).serve_forever()


if __name__ == "__main__":
    main()
