//! The one table of failures. Status, error bodies of every door, the log field, the metric label and the header
//! `x-weirgate-reason` all follow from a row of it.

/// Who is at fault, and so whom an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request or its sender.
    Client,
    /// This gateway, or how it is configured.
    Gateway,
    /// The provider or engine behind the endpoint.
    Provider,
}

/// What a reason looks like on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Stable name: metric label, log field and header value.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// `error_code` of the Databricks doors (contract §1.2: no other codes, MLflow maps them by a fixed table).
    pub error_code: &'static str,
    /// `error.type` of the OpenAI doors.
    pub openai_type: &'static str,
    /// `error.code` of the OpenAI doors.
    pub openai_code: Option<&'static str>,
    /// Who is at fault.
    pub fault: Fault,
    /// Whole seconds for `Retry-After`, where coming back may help.
    pub retry_after: Option<u32>,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $code:literal, $type:literal, $openai:expr, $fault:ident, $retry:expr;)*) => {
        /// Why a request was refused or failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The row of the table.
            pub const fn facts(self) -> &'static Facts {
                match self {
                    $(Reason::$variant => &Facts {
                        name: $name, status: $status, error_code: $code, openai_type: $type,
                        openai_code: $openai, fault: Fault::$fault, retry_after: $retry,
                    },)*
                }
            }
        }
    };
}

reasons! {
    // variant = name, status, Databricks error_code, OpenAI type, OpenAI code, fault, Retry-After;
    /// No token, or one that is unknown or expired.
    Unauthenticated = "unauthenticated", 401, "UNAUTHENTICATED", "authentication_error", Some("invalid_api_key"), Client, None;
    /// A known principal without the right.
    PermissionDenied = "permission_denied", 403, "PERMISSION_DENIED", "permission_error", Some("permission_denied"), Client, None;
    /// No such path.
    RouteNotFound = "route_not_found", 404, "ENDPOINT_NOT_FOUND", "invalid_request_error", Some("unknown_url"), Client, None;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "BAD_REQUEST", "invalid_request_error", Some("method_not_supported"), Client, None;
    /// No endpoint of that name.
    EndpointNotFound = "endpoint_not_found", 404, "RESOURCE_DOES_NOT_EXIST", "invalid_request_error", Some("model_not_found"), Client, None;
    /// The endpoint has no served entity of that name.
    ServedEntityNotFound = "served_entity_not_found", 404, "RESOURCE_DOES_NOT_EXIST", "invalid_request_error", Some("model_not_found"), Client, None;
    /// The request body is over the limit.
    BodyTooLarge = "body_too_large", 413, "BAD_REQUEST", "invalid_request_error", Some("request_too_large"), Client, None;
    /// The request body did not come in time.
    BodyTimeout = "body_timeout", 408, "BAD_REQUEST", "invalid_request_error", Some("request_timeout"), Client, None;
    /// An `Expect` other than `100-continue`.
    ExpectationFailed = "expectation_failed", 417, "BAD_REQUEST", "invalid_request_error", None, Client, None;
    /// A compressed request body, or another form that the gateway does not read.
    UnsupportedEncoding = "unsupported_encoding", 415, "BAD_REQUEST", "invalid_request_error", Some("unsupported_encoding"), Client, None;
    /// The body is not a JSON object.
    InvalidJson = "invalid_json", 400, "BAD_REQUEST", "invalid_request_error", Some("invalid_json"), Client, None;
    /// A well-formed request that makes no sense here, or is switched off.
    BadRequest = "bad_request", 400, "BAD_REQUEST", "invalid_request_error", None, Client, None;
    /// A control resource other than an endpoint that does not exist.
    ResourceNotFound = "resource_not_found", 404, "RESOURCE_DOES_NOT_EXIST", "invalid_request_error", None, Client, None;
    /// The name is taken.
    AlreadyExists = "already_exists", 409, "RESOURCE_ALREADY_EXISTS", "invalid_request_error", None, Client, None;
    /// The name of a secret scope is taken; the contract has its own status for that.
    ScopeExists = "scope_exists", 400, "RESOURCE_ALREADY_EXISTS", "invalid_request_error", None, Client, None;
    /// An update is in flight, or the state changed since it was read.
    Conflict = "conflict", 409, "RESOURCE_CONFLICT", "invalid_request_error", None, Client, None;
    /// A parameter is missing or wrong.
    InvalidParameter = "invalid_parameter", 400, "INVALID_PARAMETER_VALUE", "invalid_request_error", Some("invalid_value"), Client, None;
    /// The route's task is not the endpoint's.
    WrongTask = "wrong_task", 400, "BAD_REQUEST", "invalid_request_error", Some("wrong_task"), Client, None;
    /// The endpoint has no configuration to serve with.
    EndpointNotReady = "endpoint_not_ready", 400, "BAD_REQUEST", "invalid_request_error", Some("endpoint_not_ready"), Client, None;
    /// A secret that the served entity needs is missing or unusable.
    SecretMissing = "secret_missing", 400, "BAD_REQUEST", "invalid_request_error", Some("secret_missing"), Gateway, None;
    /// The gateway knows the setting but cannot do it yet.
    NotImplemented = "not_implemented", 501, "NOT_IMPLEMENTED", "invalid_request_error", Some("not_implemented"), Gateway, None;
    /// The bodies held in memory have reached their limit.
    Overloaded = "overloaded", 503, "TEMPORARILY_UNAVAILABLE", "server_error", Some("overloaded"), Gateway, Some(1);
    /// No engine behind the endpoint is ready.
    EngineNotReady = "engine_not_ready", 503, "TEMPORARILY_UNAVAILABLE", "server_error", Some("engine_not_ready"), Gateway, Some(1);
    /// A fault of the gateway itself.
    Internal = "internal", 500, "INTERNAL_ERROR", "server_error", Some("internal_error"), Gateway, None;
    /// The upstream's name did not resolve, or only to addresses that are not allowed.
    UpstreamUnresolved = "upstream_unresolved", 502, "INTERNAL_ERROR", "server_error", Some("upstream_unresolved"), Gateway, None;
    /// No connection to the upstream.
    UpstreamConnect = "upstream_connect", 502, "INTERNAL_ERROR", "server_error", Some("upstream_connect"), Provider, None;
    /// The upstream closed or reset the connection before its answer was complete.
    UpstreamClosed = "upstream_closed", 502, "INTERNAL_ERROR", "server_error", Some("upstream_closed"), Provider, None;
    /// The upstream's answer is not HTTP, not JSON, or not of the promised form.
    UpstreamBrokenAnswer = "upstream_broken_answer", 502, "INTERNAL_ERROR", "server_error", Some("upstream_broken_answer"), Provider, None;
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504, "DEADLINE_EXCEEDED", "server_error", Some("upstream_timeout"), Provider, None;
    /// The provider refused the request (4xx).
    ProviderRejected = "provider_rejected", 400, "BAD_REQUEST", "invalid_request_error", None, Provider, None;
    /// The provider refused our credential.
    ProviderAuth = "provider_auth", 403, "PERMISSION_DENIED", "permission_error", None, Provider, None;
    /// The provider's rate limit.
    ProviderRateLimited = "provider_rate_limited", 429, "REQUEST_LIMIT_EXCEEDED", "rate_limit_error", None, Provider, Some(1);
    /// The provider failed (5xx).
    ProviderFailed = "provider_failed", 502, "INTERNAL_ERROR", "server_error", None, Provider, None;
    /// The client left before the answer was complete. Nothing is sent; the status is for records only.
    ClientGone = "client_gone", 499, "BAD_REQUEST", "invalid_request_error", None, Client, None;
}

impl Reason {
    /// What a provider's error status means for the caller (contract §8.7).
    pub const fn of_provider_status(status: u16) -> Reason {
        match status {
            401 | 403 => Reason::ProviderAuth,
            429 => Reason::ProviderRateLimited,
            400..=499 => Reason::ProviderRejected,
            _ => Reason::ProviderFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// MLflow derives the status from the code by a fixed table; any other code shows up there as 500.
    const CODES_MLFLOW_KNOWS: &[&str] = &[
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_CONFLICT",
        "RESOURCE_DOES_NOT_EXIST",
        "ENDPOINT_NOT_FOUND",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "REQUEST_LIMIT_EXCEEDED",
        "INTERNAL_ERROR",
        "TEMPORARILY_UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "NOT_IMPLEMENTED",
    ];

    #[test]
    fn names_are_unique_and_codes_are_those_of_the_contract() {
        let names: HashSet<_> = Reason::ALL.iter().map(|r| r.facts().name).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let facts = reason.facts();
            assert!(CODES_MLFLOW_KNOWS.contains(&facts.error_code), "{}: {}", facts.name, facts.error_code);
            assert!((400..=599).contains(&facts.status));
        }
    }

    #[test]
    fn what_asks_clients_to_come_back_says_when() {
        for reason in Reason::ALL {
            let facts = reason.facts();
            assert_eq!(facts.retry_after.is_some(), matches!(facts.status, 429 | 503), "{}", facts.name);
        }
    }
}
