"""An identity provider on loopback: keys made on the spot, a JWKS and a discovery document served, tokens signed."""
import http.server
import json
import threading
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "weirgate"
MAKERS = {"RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
          "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
          "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm)}


class Key:
    def __init__(self, algorithm, kid):
        make, self.family = MAKERS[algorithm]
        self.algorithm, self.kid, self.private = algorithm, kid, make()

    def public(self):
        jwk = json.loads(self.family.to_jwk(self.private.public_key()))
        return jwk | {"kid": self.kid, "use": "sig", "alg": self.algorithm}


class Issuer:
    """`url` is its `iss`; `keys` is what it publishes at the moment."""

    def __init__(self, *algorithms):
        self.keys = [Key(algorithm, f"key-{algorithm}") for algorithm in algorithms]
        self.asked, self.broken = [], False
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                pages = {"/keys": {"keys": [key.public() for key in issuer.keys]},
                         "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}}
                found = None if issuer.broken else pages.get(self.path)
                body = json.dumps(found).encode()
                self.send_response(200 if found else 500)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def settings(self, **more):
        """The entry for `authentication.jwt`."""
        return {"issuer": self.url, "audiences": [AUDIENCE], "jwks_url": f"{self.url}/keys", "algorithms": sorted(MAKERS),
                "groups_claim": "groups", "leeway": "2s", **more}

    def token(self, algorithm="RS256", key=None, headers=None, **claims):
        """A signed token; a claim of `None` is left out."""
        key = key or next(key for key in self.keys if key.algorithm == algorithm)
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "dana", "iat": now, "exp": now + 300} | claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key.private, algorithm=key.algorithm, headers={"kid": key.kid, **(headers or {})})

    def close(self):
        self.server.shutdown()
        self.server.server_close()
