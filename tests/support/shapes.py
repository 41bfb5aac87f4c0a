"""The error shapes of the doors, product.md §2 and contract §1.2."""
import json

V1, DATABRICKS = "/v1", "/serving-endpoints"
DOORS = (V1, DATABRICKS)
CODES = {400: {"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"}, 401: {"UNAUTHENTICATED"}, 403: {"PERMISSION_DENIED"},
         404: {"RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND"}, 405: {"BAD_REQUEST"}, 408: {"BAD_REQUEST"},
         409: {"RESOURCE_ALREADY_EXISTS", "RESOURCE_CONFLICT"}, 501: {"NOT_IMPLEMENTED"}, 413: {"BAD_REQUEST"},
         429: {"REQUEST_LIMIT_EXCEEDED"}, 500: {"INTERNAL_ERROR"}, 502: {"INTERNAL_ERROR"},
         503: {"TEMPORARILY_UNAVAILABLE"}, 504: {"DEADLINE_EXCEEDED"}}


def assert_error_body(body, door, status):
    if door == V1:
        assert set(body) == {"error"}, body
        error = body["error"]
        assert {"message", "type", "param", "code"} <= set(error), body
        assert isinstance(error["message"], str) and error["message"], body
        assert error["type"], body
        return error["message"]
    assert body["error_code"] in CODES[status], (status, body)
    assert isinstance(body["message"], str) and body["message"], body
    assert not {"error", "detail", "status", "scimType"} & set(body), f"keys that mislead the clients: {body}"
    return body["message"]


def assert_error(response, door, status, answered_by=None):
    """A whole error answer of a door (httpx response); `status` may be a set. Returns the message."""
    wanted = status if isinstance(status, set) else {status}
    assert response.status_code in wanted, (response.status_code, response.text[:500])
    assert response.headers["content-type"].split(";")[0] == "application/json", response.headers
    assert response.headers.get("x-weirgate-reason"), response.headers
    assert response.headers.get("x-request-id"), response.headers
    if answered_by:
        assert response.headers.get("x-weirgate-answered-by") == answered_by, response.headers
    return assert_error_body(response.json(), door, response.status_code)


def assert_error_event(payload, door):
    """The last event of a stream that broke, contract §8.5."""
    event = json.loads(payload)
    assert {"message", "type", "code"} <= set(event["error"]), event
    assert event["error"]["message"], event
    if door == DATABRICKS:
        assert event["error_code"] in set().union(*CODES.values()), event
        assert event["message"], event
    return event
