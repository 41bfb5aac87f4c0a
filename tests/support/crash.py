"""Writers that remember what was acknowledged, for a gateway that is killed under them."""
import itertools
import json
import random
import threading

import httpx

from . import documents
from .control import ENDPOINTS, Api

ABSENT = "absent"


class Fact:
    """What must be true of one thing: the last acknowledged value, or the one that was being written when the gateway died."""

    def __init__(self, value=ABSENT):
        self.acknowledged, self.doubtful = value, None

    def candidates(self):
        return [self.acknowledged] + ([] if self.doubtful is None else [self.doubtful])

    def settle(self, value):
        self.acknowledged, self.doubtful = value, None


class Writer:
    """Writes all the time until the gateway is gone. Only `accepted` answers count as acknowledged."""

    def __init__(self, world, kind):
        self.world, self.kind, self.random = world, kind, random.Random(world.random.random())
        self.facts, self.problems, self.acknowledged = {}, [], 0

    def write(self, key, value, *request, refused=()):
        """One write that makes `value` of the fact `key`; gives the answer if it was accepted."""
        fact = self.facts.setdefault(key, Fact())
        fact.doubtful = value
        answer = self.api.call(*request)
        if answer.status_code == 200:
            self.acknowledged += 1
            fact.settle(value)
            return answer.json()
        fact.doubtful = None
        if answer.status_code not in refused:
            self.problems.append(f"{request[:2]}: {answer.status_code} {answer.text[:300]}")
        return None

    def run(self, stop):
        self.api = Api(self.world.gateway)
        try:
            while not stop.is_set() and not self.problems:
                self.step()
        except (httpx.HTTPError, OSError):
            pass  # killed
        finally:
            self.api.client.close()


class Endpoints(Writer):
    """Creates, updates, tags and deletes its own endpoints, with keys in plaintext and by reference."""

    def __init__(self, world, number):
        super().__init__(world, "endpoints")
        self.number, self.ids, self.versions = number, {}, {}

    def body(self, name):
        """A new document. Model and key carry the same number, so that half of a write would be seen."""
        mark = next(self.world.marks)
        key = f"sk-{mark}" if self.random.random() < 0.5 else "{{secrets/fixed/key}}"
        entity = documents.openai("a", f"{self.world.upstream.url}/v1", f"m-{mark}", key=key)
        return (f"m-{mark}", f"sk-{mark}" if key.startswith("sk") else "fixed"), documents.endpoint(name, entity)

    def step(self):
        name = f"e{self.number}-{self.random.randrange(4)}"
        value, body = self.body(name)
        exists = self.facts.get(name, Fact()).acknowledged != ABSENT
        if not exists:
            made = self.write(name, value, "POST", ENDPOINTS, body)
            if made:
                self.ids[name], self.versions[name] = made["id"], 1
        elif self.random.random() < 0.25:
            if self.write(name, ABSENT, "DELETE", f"{ENDPOINTS}/{name}") is not None:
                self.forget(name)
        else:
            made = self.write(name, value, "PUT", f"{ENDPOINTS}/{name}/config", body["config"])
            if made:
                self.versions[name] = made["config"]["config_version"]
            self.write(f"{name} tags", value[0], "PATCH", f"{ENDPOINTS}/{name}/tags", {"add_tags": [{"key": "mark", "value": value[0]}]})

    def forget(self, name):
        """What the endpoint of that name had besides its config."""
        for kept in (self.ids, self.versions):
            kept.pop(name, None)
        self.facts.pop(f"{name} tags", None)

    def verify(self, api):
        for name in [key for key in self.facts if " " not in key]:
            fact, answer = self.facts[name], api.call("GET", f"{ENDPOINTS}/{name}")
            if answer.status_code == 404:
                assert ABSENT in fact.candidates(), f"{name} is lost: {fact.candidates()}"
                fact.settle(ABSENT)
                self.forget(name)
                continue
            found = answer.json()
            used = self.world.used(api, name)
            assert used in fact.candidates(), f"{name} serves {used}, acknowledged {fact.candidates()}"
            assert found["config"]["served_entities"][0]["external_model"]["name"] == used[0]
            assert self.ids.setdefault(name, found["id"]) == found["id"], f"{name} has another id"
            version, before = found["config"]["config_version"], self.versions.get(name)
            wanted = 1 if before is None else before + (used != fact.acknowledged)
            assert version == wanted, f"{name}: version {version}, should be {wanted}"
            self.versions[name] = version
            fact.settle(used)
            tags = self.facts.get(f"{name} tags")
            if tags and tags.acknowledged != ABSENT:
                shown = {tag["key"]: tag.get("value") for tag in found["tags"]}.get("mark")
                assert shown in tags.candidates(), f"{name}: tag {shown}, acknowledged {tags.candidates()}"
                tags.settle(shown)
            self.world.verified += 1


class Secrets(Writer):
    """Writes secrets that endpoints use, and deletes and makes others."""

    def __init__(self, world):
        super().__init__(world, "secrets")

    def step(self):
        number, mark = self.random.randrange(4), next(self.world.marks)
        put = {"scope": "moving", "key": f"k{number}", "string_value": f"v-{mark}"}
        if number < 2 or self.random.random() < 0.6:
            self.write(put["key"], f"v-{mark}", "POST", "/secrets/put", put)
        else:
            self.write(put["key"], ABSENT, "POST", "/secrets/delete", put, refused=(404,))

    def verify(self, api):
        keys = {secret["key"] for secret in api.ok("GET", "/secrets/list", params={"scope": "moving"})["secrets"]}
        for key, fact in self.facts.items():
            if key not in keys:
                assert ABSENT in fact.candidates(), f"secret {key} is lost"
                fact.settle(ABSENT)
            elif key in ("k0", "k1"):
                value = self.world.used(api, f"uses-{key}")[1]
                assert value in fact.candidates(), f"secret {key} is {value}, acknowledged {fact.candidates()}"
                fact.settle(value)
            else:
                assert fact.candidates() != [ABSENT], f"secret {key} came back"
                fact.settle(fact.candidates()[-1] if fact.acknowledged == ABSENT else fact.acknowledged)
            self.world.verified += 1


class Tokens(Writer):
    """Makes and revokes tokens."""

    def __init__(self, world):
        super().__init__(world, "tokens")
        self.alive, self.dead, self.doubtful = {}, set(), None

    def step(self):
        if len(self.alive) < 5 or self.random.random() < 0.5:
            made = self.api.ok("POST", "/token/create", {"comment": "crash"})
            self.alive[made["token_info"]["token_id"]] = made["token_value"]
        else:
            id = self.random.choice(sorted(self.alive))
            self.doubtful = id
            self.api.ok("POST", "/token/delete", {"token_id": id})
            self.dead.add(self.alive.pop(id))
            self.doubtful = None
        self.acknowledged += 1

    def verify(self, api):
        listed = {token["token_id"] for token in api.ok("GET", "/token/list")["token_infos"]}
        for id, value in list(self.alive.items()):
            works = Api(self.world.gateway, value).call("GET", "/token/list").status_code == 200
            assert works == (id in listed), "the list and the door disagree"
            assert works or id == self.doubtful, "an acknowledged token is lost"
            if not works:
                self.dead.add(self.alive.pop(id))
            self.world.verified += 1
        for value in self.random.sample(sorted(self.dead), min(5, len(self.dead))):
            assert Api(self.world.gateway, value).call("GET", "/token/list").status_code == 401, "a revoked token works again"
            self.world.verified += 1
        self.doubtful = None


class Editor(Writer):
    """Edits files, as a person does: each edit is whole on disk at once."""

    def __init__(self, world):
        super().__init__(world, "file edits")
        self.ids = {}

    def step(self):
        name, mark = f"f{self.random.randrange(3)}", next(self.world.marks)
        file = self.world.gateway.config / f"endpoints/{name}.yaml"
        if self.random.random() < 0.15 and file.exists():
            file.unlink()
            self.facts[name] = Fact()
            self.ids.pop(name, None)
        else:
            entity = documents.openai("a", f"{self.world.upstream.url}/v1", f"m-{mark}", key=f"sk-{mark}")
            self.world.gateway.write(f"endpoints/{name}.yaml", json.dumps(documents.endpoint(name, entity)))
            self.facts[name] = Fact((f"m-{mark}", f"sk-{mark}"))
        self.acknowledged += 1
        self.api.call("GET", ENDPOINTS)
        threading.Event().wait(self.random.random() * 0.2)

    def verify(self, api):
        for name, fact in self.facts.items():
            if fact.acknowledged == ABSENT:
                assert api.call("GET", f"{ENDPOINTS}/{name}").status_code == 404
                self.ids.pop(name, None)
            else:
                assert self.world.used(api, name) == fact.acknowledged, f"{name} is not what its file says"
                id = api.get(name)["id"]
                assert self.ids.setdefault(name, id) == id, f"{name} has another id"
            self.world.verified += 1


class Intruder(Writer):
    """Tags the endpoints of the editor's files, so that both doors write the same file. The editor looks for its edits."""

    def __init__(self, world):
        super().__init__(world, "tags on edited files")

    def step(self):
        tags = {"add_tags": [{"key": f"t{self.random.randrange(5)}", "value": str(next(self.world.marks))}]}
        answer = self.api.call("PATCH", f"{ENDPOINTS}/f{self.random.randrange(3)}/tags", tags)
        self.acknowledged += answer.status_code == 200
        if answer.status_code not in (200, 404, 409):
            self.problems.append(f"{answer.status_code} {answer.text[:300]}")

    def verify(self, api):
        pass


class World:
    """The gateway, its upstream, all writers, and the count of what was verified."""

    def __init__(self, gateway, upstream, seed):
        self.gateway, self.upstream, self.random, self.marks = gateway, upstream, random.Random(seed), itertools.count(1)
        self.verified = 0
        self.writers = [*(Endpoints(self, n) for n in range(3)), Secrets(self), Tokens(self), Editor(self), Intruder(self)]

    def prepare(self):
        api = Api(self.gateway)
        api.put_secret("fixed", "key", "fixed")
        for number in range(2):
            ref = api.put_secret("moving", f"k{number}", "v-first")
            self.writers[3].facts[f"k{number}"] = Fact("v-first")
            api.create(documents.endpoint(f"uses-k{number}", documents.openai("a", f"{self.upstream.url}/v1", key=ref)))

    def used(self, api, name):
        """Model and key that the provider is asked with."""
        answer = api.ask(name)
        assert answer.status_code == 200, f"{name}: {answer.status_code} {answer.text[:300]}"
        request = self.upstream.requests[-1]
        return request.json()["model"], request.headers["authorization"].removeprefix("Bearer ")

    def live_and_die(self):
        """Lets everybody write for a random while, then kills the gateway in the middle of it."""
        stop = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(stop,)) for writer in self.writers]
        for thread in threads:
            thread.start()
        stop.wait(self.random.uniform(0.05, 1.0))
        self.gateway.process.kill()
        self.gateway.process.wait()
        stop.set()
        for thread in threads:
            thread.join(30)
        problems = [problem for writer in self.writers for problem in writer.problems]
        assert not problems, problems[:3]

    def verify(self):
        api = Api(self.gateway)
        for writer in self.writers:
            writer.verify(api)
        expected = {name for writer in self.writers if writer.kind in ("endpoints", "file edits") for name, fact in writer.facts.items()
                    if " " not in name and fact.acknowledged != ABSENT} | {"uses-k0", "uses-k1"}
        assert set(api.names()) == expected
        files = {file.name.removesuffix(".yaml") for file in (self.gateway.config / "endpoints").iterdir() if file.suffix == ".yaml"}
        assert files == expected, "files and API name the same endpoints"
        return api

    def counts(self):
        found = {}
        for writer in self.writers:
            found[writer.kind] = found.get(writer.kind, 0) + writer.acknowledged
        return found
