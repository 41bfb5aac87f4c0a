"""Upstreams for the gateway: the recordings, and sockets that do exactly what a test says."""
import json
import socket
import struct
import threading
import time

from . import models, places

DONE = b"data: [DONE]\n\n"


def replay_server(**options):
    """The shared replay server; besides `received` it keeps every request body as bytes in `raw`."""
    replay = places.replay_module()

    class Handler(replay.Handler):
        disable_nagle_algorithm = True

        def body(self):
            data = super().body()
            with self.server.lock:
                self.server.raw.append(data)
            return data

    server = replay.Server(("127.0.0.1", 0), Handler)
    server.recordings, server.lock = replay.Recordings([places.shared() / "recorded"]), threading.Lock()
    server.received, server.faulted, server.raw = [], {}, []
    server.options = {"stall-s": 3, **options}
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


class Request:
    def __init__(self, head, body):
        self.head, self.body = head, body
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def json(self):
        return json.loads(self.body)


class Connection:
    """One accepted connection, for a script to read requests from and write any bytes to."""

    def __init__(self, sock, number, upstream):
        self.sock, self.number, self.upstream, self.buffer = sock, number, upstream, b""
        self.requests = 0

    def request(self):
        """The next request with a body of known length, or None at the end of the connection."""
        request = self.request_any()
        assert request is None or "content-length" in request.headers, f"a request without its length: {request.head!r}"
        return request

    def request_any(self):
        """The next request, or None at the end of the connection."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._fill():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                       if line.lower().startswith(b"content-length:")), 0)
        while len(self.buffer) < length:
            if not self._fill():
                return None
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        self.requests += 1
        request = Request(head, body)
        self.upstream.note(self, request)
        return request

    def _fill(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def send(self, data):
        self.sock.sendall(data)

    def chunk(self, data):
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def start_stream(self):
        self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def until_closed(self, seconds):
        """When the other side closed (time.monotonic()), or None if it had not within that time."""
        self.sock.settimeout(seconds)
        try:
            while self._fill():
                pass
        except TimeoutError:
            return None
        except OSError:
            pass
        return time.monotonic()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def answer(body, status="200 OK", *headers, content_type="application/json"):
    """A whole answer as bytes; `body` is JSON, or bytes as they are."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"content-type: {content_type}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def completion(text="Hello!", model="gpt-4o-mini-2024-07-18"):
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}


def delta(text, **more):
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m",
             "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


class Upstream:
    """Serves each accepted connection with `script(connection)`; notes every request, connection and failure."""

    def __init__(self, script):
        self.script, self.lock = script, threading.Lock()
        self.requests, self.connections, self.results = [], [], []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, len(self.connections), self)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            result = self.script(connection)
            if result is not None:
                self.results.append(result)
        except OSError:
            pass
        finally:
            connection.sock.close()

    def note(self, connection, request):
        with self.lock:
            self.requests.append(request)

    def clear(self):
        with self.lock:
            self.requests.clear()
            self.results.clear()

    def close(self):
        """Stop listening: new connections are refused."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def always(make):
    """A script that answers every request of a connection with `make(request)` (bytes)."""
    def script(connection):
        while request := connection.request():
            connection.send(make(request))
    return script


hello = always(lambda request: answer(completion()))


def speak(request):
    """Answers any OpenAI-style request with the request's model, whose name is in the text, too; and GETs, as engines do for health and models."""
    if request.method == "GET":
        return answer({"object": "list", "data": [{"id": name, "object": "model"} for name in models.ON_SERVERS]})
    body = request.json()
    model = body.get("model", "none")
    if "input" in body:
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}]
        return answer({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    if "prompt" in body:
        choice = {"index": 0, "text": f"from {model}", "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return answer({"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": model, "choices": [choice], "usage": usage})
    if body.get("stream"):
        events = delta("from ") + delta(str(model)) + DONE
        return answer(events, content_type="text/event-stream")
    return answer(completion(f"from {model}", model))


def speaker():
    """An upstream that answers as `speak` does and remembers what it was asked."""
    def script(connection):
        while request := connection.request_any():
            connection.send(speak(request))
    return Upstream(script)
