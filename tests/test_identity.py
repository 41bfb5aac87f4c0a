"""Who is asking: JWTs of issuers with real keys on loopback, principals set in the config, permissions on both planes."""
import base64
import functools
import hashlib
import hmac
import json
import time

import httpx
import jwt
import pytest

from support import documents
from support.control import ENDPOINTS, Api, grant
from support.gateway import eventually
from support.issuer import Issuer, Key

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def issuer():
    made = Issuer("RS256", "ES256", "EdDSA")
    yield made
    made.close()


def gateway_for(gateways, speaker, *issuers, principals=()):
    entity = documents.openai("a", f"{speaker.url}/v1")
    authentication = {"tokens": [documents.token(documents.ALICE, "alice", ["research"])], "jwt": list(issuers), "principals": list(principals)}
    return gateways([
        documents.endpoint("for-dana", entity, permissions=[grant("CAN_QUERY", user_name="dana")]),
        documents.endpoint("for-research", entity, permissions=[grant("CAN_QUERY", group_name="research")]),
        documents.endpoint("for-robot", entity, permissions=[grant("CAN_MANAGE", service_principal_name="robot")]),
        documents.endpoint("for-admins", entity, permissions=[]),
    ], settings={"authentication": authentication})


@pytest.fixture(scope="module")
def gate(folders, speaker, issuer):
    from support.gateway import Gateway
    made = []

    def make(endpoints, settings):
        made.append(Gateway(folders(), endpoints, settings=settings))
        return made[0].start().wait_ready()

    groups = {"their-research": "research", "their-admins": "admins"}
    yield gateway_for(make, speaker, issuer.settings(groups=groups, service_principal_claim="azp", user_claim="email"))
    made[0].stop()


def person(issuer, **claims):
    """A token as `gate` wants it: the user is in `email`."""
    return issuer.token(**{"sub": "x", "email": "dana", **claims})


def status(gateway, token, name="for-dana"):
    """Of a query; the control plane must judge the token the same way."""
    with gateway.client(token) as client:
        query = client.post("/v1/chat/completions", json=documents.chat_body(name)).status_code
        control = client.get("/api/2.0/serving-endpoints").status_code
    assert (query == 401) == (control == 401), "the planes disagree about the token"
    return query


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_algorithms(gate, issuer, algorithm):
    assert status(gate, person(issuer, algorithm=algorithm)) == 200
    assert status(gate, person(issuer, algorithm=algorithm), "for-research") == 403


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


@functools.cache
def strange(kid, algorithm="RS256"):
    """A key that the issuer does not publish."""
    return Key(algorithm, kid)


def forged(issuer, kind):
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": "weirgate", "sub": "dana", "email": "dana", "iat": now, "exp": now + 300}
    head, body, signature = person(issuer).split(".")
    public = issuer.keys[0].private.public_key().public_numbers().n.to_bytes(256, "big")
    pem = json.dumps(issuer.keys[0].public()).encode()

    def mac(secret):
        signed = f'{b64({"alg": "HS256", "typ": "JWT", "kid": issuer.keys[0].kid})}.{b64(claims)}'
        return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"

    return {
        "alg none": f'{b64({"alg": "none"})}.{b64(claims)}.',
        "alg None": f'{b64({"alg": "None", "kid": "key-RS256"})}.{b64(claims)}.{signature}',
        "hmac with the modulus": mac(public), "hmac with the key's JSON": mac(pem), "hmac with nothing": mac(b""),
        "changed claims": f'{head}.{b64({**claims, "email": "alice"})}.{signature}', "cut signature": f"{head}.{body}.{signature[:-8]}",
        "no signature": f"{head}.{body}.", "two parts": f"{head}.{body}", "four parts": f"{head}.{body}.{signature}.x",
        "another's key": person(issuer, key=strange("key-RS256")), "unknown key": person(issuer, key=strange("nobody's")),
        "own key in the head": person(issuer, key=strange("own"), headers={"jwk": strange("own").public()}),
        "key from elsewhere": person(issuer, key=strange("own"), headers={"jku": f"{issuer.url}/keys"}),
        "critical": person(issuer, headers={"crit": ["b64"], "b64": False}),
        "algorithm of another key": jwt.encode(claims, issuer.keys[1].private, algorithm="ES256", headers={"kid": "key-RS256"}),
        "not base64": f"{head}.!!!.{signature}", "not JSON": f"{head}.{b64(b'{')}.{signature}",
        "huge": f"{head}.{b64(b'x' * 30_000)}.{signature}",
    }[kind]


FORGED = ["alg none", "alg None", "hmac with the modulus", "hmac with the key's JSON", "hmac with nothing", "changed claims", "cut signature",
          "no signature", "two parts", "four parts", "another's key", "unknown key", "own key in the head", "key from elsewhere", "critical",
          "algorithm of another key", "not base64", "not JSON", "huge"]


@pytest.mark.parametrize("kind", FORGED)
def test_forged(gate, issuer, kind):
    assert status(gate, forged(issuer, kind)) in ((401, 431) if kind == "huge" else (401,))


def now(seconds):
    return int(time.time()) + seconds


WRONG = {"audience": {"aud": "another"}, "no audience": {"aud": None}, "issuer": {"iss": "http://127.0.0.1:9/"}, "no issuer": {"iss": None},
         "expired": {"exp": -60}, "no expiry": {"exp": None}, "not yet": {"nbf": 60}, "nobody": {"email": None}, "number as name": {"email": 5},
         "empty name": {"email": ""}, "text as expiry": {"exp": "tomorrow"}, "issued tomorrow": {"iat": 86400},
         "audience in part": {"aud": "weir"},
         "groups no list": {"groups": 5}}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_claims(gate, issuer, case):
    claims = {k: now(v) if k in ("exp", "nbf", "iat") and type(v) is int else v for k, v in WRONG[case].items()}
    assert status(gate, person(issuer, **claims)) == 401


def test_clocks_may_differ_a_little(gate, issuer):
    """`leeway` is two seconds here."""
    assert status(gate, person(issuer, exp=now(-1))) == 200 and status(gate, person(issuer, nbf=now(1))) == 200
    assert status(gate, person(issuer, exp=now(-4))) == 401 and status(gate, person(issuer, nbf=now(6))) == 401


def test_a_verdict_does_not_outlive_the_token(gate, issuer):
    token = person(issuer, exp=now(0))
    assert status(gate, token) == 200
    eventually(lambda: status(gate, token) == 401, 6, 0.3)


def test_several_audiences(gate, issuer):
    assert status(gate, person(issuer, aud=["another", "weirgate"])) == 200


def test_groups_are_mapped(gate, issuer):
    assert status(gate, person(issuer, email="eve", groups=["their-research"]), "for-research") == 200
    assert status(gate, person(issuer, email="eve", groups=["research"]), "for-research") == 403, "unmapped groups are dropped"
    assert status(gate, person(issuer, email="eve", groups=["admins"]), "for-admins") == 403
    assert status(gate, person(issuer, email="eve", groups=["their-admins"]), "for-admins") == 200
    assert Api(gate, person(issuer, email="eve", groups=["their-admins"])).names() == ["for-admins", "for-dana", "for-research", "for-robot"]


def test_service_principal(gate, issuer):
    robot = issuer.token(azp="robot")
    assert status(gate, robot, "for-robot") == 200 and status(gate, person(issuer, email="robot"), "for-robot") == 403
    assert Api(gate, robot).ok("PATCH", f"{ENDPOINTS}/for-robot/tags", {"add_tags": [{"key": "k"}]})


def test_me(gate, issuer):
    token = person(issuer, groups=["their-research", "other"])
    me = Api(gate, token).ok("GET", "/preview/scim/v2/Me")
    assert me["userName"] == "dana" and me["active"] is True and me["id"] and me["displayName"]
    assert {"research"} <= {group["display"] for group in me["groups"]} <= {"research", "users"}


def test_a_jwt_holder_creates_and_manages(gate, issuer, speaker):
    dana = Api(gate, person(issuer))
    with dana.created(documents.endpoint("danas", documents.openai("a", f"{speaker.url}/v1"))) as made:
        assert made["creator"] == "dana" and made["permission_level"] == "CAN_MANAGE"
        assert status(gate, person(issuer, email="eve"), "danas") == 403


def test_own_tokens_of_a_jwt_holder(gate, issuer):
    dana = Api(gate, person(issuer, groups=["their-research"]))
    made = dana.ok("POST", "/token/create", {"comment": "c"})
    own = Api(gate, made["token_value"])
    assert own.ok("GET", "/preview/scim/v2/Me")["userName"] == "dana" and status(gate, made["token_value"], "for-research") == 200
    own.ok("POST", "/token/delete", {"token_id": made["token_info"]["token_id"]})
    assert status(gate, made["token_value"]) == 401


def test_rotation(gateways, speaker):
    """A new key is fetched when it is first met; asking again and again for unknown ones does not flood the issuer."""
    issuer = Issuer("RS256")
    gateway = gateway_for(gateways, speaker, issuer.settings())
    assert status(gateway, issuer.token()) == 200
    new = Key("RS256", "key-2")
    for _ in range(50):
        assert status(gateway, issuer.token(key=strange("nobody's", "ES256"))) == 401
    assert len(issuer.asked) <= 4, issuer.asked
    issuer.keys = [new]
    eventually(lambda: status(gateway, issuer.token(key=new)) == 200, 15, 0.5)
    issuer.close()
    assert status(gateway, issuer.token(key=new)) == 200, "the issuer's outage does not lock everybody out"
    assert status(gateway, documents.ALICE, "for-research") == 200


def test_keys_by_discovery(gateways, speaker):
    issuer = Issuer("ES256")
    settings = issuer.settings()
    del settings["jwks_url"]
    gateway = gateway_for(gateways, speaker, settings)
    assert status(gateway, issuer.token("ES256")) == 200
    assert issuer.asked[:2] == ["/.well-known/openid-configuration", "/keys"]


def test_allow_list_of_algorithms(gateways, speaker, issuer):
    gateway = gateway_for(gateways, speaker, issuer.settings(algorithms=["ES256"]))
    assert status(gateway, issuer.token("ES256")) == 200
    assert status(gateway, issuer.token("RS256")) == 401 and status(gateway, issuer.token("EdDSA")) == 401


def test_issuer_that_is_down_at_the_start(gateways, speaker):
    issuer = Issuer("ES256")
    issuer.broken = True
    gateway = gateway_for(gateways, speaker, issuer.settings())
    assert status(gateway, issuer.token("ES256")) == 401 and status(gateway, documents.ALICE, "for-research") == 200
    issuer.broken = False
    eventually(lambda: status(gateway, issuer.token("ES256")) == 200, 15, 0.3)


def test_issuers_come_and_go_with_the_config(gateways, speaker, issuer):
    gateway = gateway_for(gateways, speaker)
    assert status(gateway, issuer.token()) == 401
    gateway.settings["authentication"]["jwt"] = [issuer.settings()]
    gateway.reload(lambda: gateway.write("weirgate.yaml", gateway.settings))
    eventually(lambda: status(gateway, issuer.token()) == 200, 5)
    gateway.settings["authentication"]["jwt"] = []
    gateway.reload(lambda: gateway.write("weirgate.yaml", gateway.settings))
    assert status(gateway, issuer.token()) == 401


def test_the_config_decides_about_principals(gateways, speaker, issuer):
    """`authentication.principals` overrides the groups of tokens and claims, admin rights included."""
    gateway = gateway_for(gateways, speaker, issuer.settings(), principals=[
        {"user": "dana", "groups": ["research"]}, {"user": "boss", "admin": True}, {"user": "alice", "groups": []}])
    assert status(gateway, issuer.token(groups=["admins"]), "for-admins") == 403, "no admin by her claim"
    assert status(gateway, issuer.token(groups=[]), "for-research") == 200
    assert status(gateway, issuer.token(sub="boss"), "for-admins") == 200
    assert status(gateway, documents.ALICE, "for-research") == 403, "her token's group counts no more"
    own = Api(gateway, issuer.token()).ok("POST", "/token/create", {})["token_value"]
    assert status(gateway, own, "for-research") == 200
    gateway.settings["authentication"]["principals"] = [{"user": "dana", "groups": []}]
    gateway.reload(lambda: gateway.write("weirgate.yaml", gateway.settings))
    assert status(gateway, own, "for-research") == 403 and status(gateway, issuer.token(), "for-research") == 403
    assert status(gateway, documents.ALICE, "for-research") == 200, "and again as her token says"


def test_discovery_document(gate):
    for headers in ({}, {"authorization": "Bearer nobody"}):
        answer = httpx.get(f"{gate.url}/.well-known/databricks-config", headers=headers, trust_env=False)
        assert answer.status_code == 200 and answer.json() == {} and answer.headers["content-type"].startswith("application/json")
        assert httpx.head(f"{gate.url}/.well-known/databricks-config", trust_env=False).status_code in (200, 405)


def test_a_token_in_the_wrong_place(gate, issuer):
    with gate.client(None) as client:
        for headers in ({"x-api-key": documents.ALICE}, {"cookie": f"token={documents.ALICE}"}):
            assert client.get("/api/2.0/serving-endpoints", headers=headers).status_code == 401
        assert client.get(f"/api/2.0/serving-endpoints?access_token={documents.ALICE}").status_code == 401
