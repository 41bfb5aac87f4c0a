"""Bytes on the client's side: raw requests, whole raw answers, event streams."""
import contextlib
import json
import socket

import httpx

from . import documents


class Raw:
    """A plain socket to the gateway that keeps what it read beyond one answer."""

    def __init__(self, gateway, timeout=10):
        self.sock = socket.create_connection(("127.0.0.1", gateway.port), timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def until(self, mark):
        while mark not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError(f"closed after {self.buffer[:300]!r}")
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def answer(self):
        """One whole answer: (status, headers, body), after informational ones. Understands lengths and chunks."""
        status, headers = self.head()
        while status < 200:
            status, headers = self.head()
        if "content-length" in headers:
            return status, headers, self.take(int(headers["content-length"]))
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.take(size)
                self.take(2)
            self.until(b"\r\n")
            return status, headers, body
        return status, headers, self.rest()

    def head(self):
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"header {name} came twice"
            headers[name.lower()] = value.strip()
        return int(first.split(" ")[1]), headers

    def take(self, size):
        while len(self.buffer) < size:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError(f"closed after {len(self.buffer)} of {size} bytes")
            self.buffer += data
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def rest(self):
        """Everything up to the end of the connection; a reset counts as the end."""
        with contextlib.suppress(ConnectionError):
            while data := self.sock.recv(65536):
                self.buffer += data
        found, self.buffer = self.buffer, b""
        return found

    def closed(self):
        """Whether the gateway has ended the connection (waits for the socket's timeout at most)."""
        try:
            return self.sock.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def post(path, body, *headers, token=documents.ALICE, length=True, version="1.1"):
    """A raw POST request. `body` is JSON, or bytes as they are."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "host: gateway", "content-type: application/json"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, *headers]).encode("latin-1") + b"\r\n\r\n" + body


def chunked(data, size=7, end=b"0\r\n\r\n"):
    pieces = (data[i:i + size] for i in range(0, len(data), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + end


def read_all(response):
    """The body of a streamed httpx response, and whether it ended as HTTP says it should."""
    body = b""
    try:
        for piece in response.iter_raw():
            body += piece
        return body, True
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return body, False


def events(body):
    """The payloads of an event stream; insists on contract §8.5: one `data: ` line and a blank line, nothing else."""
    assert body.endswith(b"\n\n") or not body, f"the stream ends inside an event: {body[-200:]!r}"
    blocks = body.split(b"\n\n")[:-1]
    for block in blocks:
        assert block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block, f"not a data line: {block[:200]!r}"
    return [block[len(b"data: "):] for block in blocks]
