"""HTTP/2 by hand, for what no careful client sends."""
import json
import socket
import struct
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
from hpack import Encoder

from . import documents

DATA, HEADERS, RESET, SETTINGS, PING = 0, 1, 3, 4, 6
END_STREAM, END_HEADERS = 1, 4
HEAD = [(":method", "POST"), (":scheme", "http"), (":authority", "gateway"), (":path", "/v1/chat/completions"),
        ("authorization", f"Bearer {documents.ALICE}")]


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Http2:
    """One connection. `send` takes frames as bytes; `post` makes a proper request."""

    def __init__(self, gateway):
        self.sock = socket.create_connection(("127.0.0.1", gateway.port), 10)
        self.encoder, self.streams = Encoder(), 0
        self.reader = h2.connection.H2Connection(h2.config.H2Configuration(validate_inbound_headers=False))
        self.reader.initiate_connection()
        self.known, self.outcomes = 0, []
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b""))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def open(self, headers, flags=END_HEADERS):
        """Sends a head and gives the stream's number."""
        stream = 2 * self.streams + 1
        self.streams += 1
        self.send(frame(HEADERS, flags, stream, self.encoder.encode(headers)))
        return stream

    def post(self, document, *headers):
        stream = self.open([*HEAD, *headers])
        self.send(frame(DATA, END_STREAM, stream, json.dumps(document).encode()))
        return stream

    def reset(self, stream):
        self.send(frame(RESET, 0, stream, struct.pack(">I", h2.errors.ErrorCodes.CANCEL)))

    def outcome(self, seconds=8):
        """The next answer's status, "reset" or "closed"; None if nothing came in time."""
        while self.known < self.streams:  # as if the reader had sent them
            self.reader.send_headers(self.reader.get_next_available_stream_id(), HEAD, end_stream=True)
            self.known += 1
        end = time.monotonic() + seconds
        while not self.outcomes:
            try:
                self.sock.settimeout(max(0.001, end - time.monotonic()))
                data = self.sock.recv(65536)
            except TimeoutError:
                return None
            except ConnectionError:
                return "closed"
            if not data:
                return "closed"
            self.outcomes += filter(None, map(told, self.reader.receive_data(data)))
        return self.outcomes.pop(0)


def told(event):
    match event:
        case h2.events.ResponseReceived():
            return int(dict(event.headers)[b":status"])
        case h2.events.StreamReset():
            return "reset"
        case h2.events.ConnectionTerminated():
            return "closed"
