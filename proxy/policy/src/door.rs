//! The doors and their error bodies (product.md §2).

use serde_json::{Value, json};

use crate::phrases::broken_up;
use crate::reason::{Fault, Reason};

/// By which door a request came in; decides the shape of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `/v1`: `{"error":{"message","type","param","code"}}`.
    OpenAi,
    /// `/serving-endpoints` and `/api`: `{"error_code","message"}`.
    Databricks,
}

/// A provider's own error, as far as it could be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProviderError {
    /// Status that the provider sent.
    pub status: u16,
    /// The provider's text, credentials masked.
    pub message: String,
    /// The provider's `type`.
    pub kind: Option<String>,
    /// The provider's `code` (a string, or a number with some engines).
    pub code: Option<Value>,
    /// The provider's `param`.
    pub param: Option<String>,
    /// The provider's body with credentials masked: JSON where it was JSON, else its text.
    pub body: Value,
    /// Whole seconds of the provider's `Retry-After`.
    pub retry_after: Option<u32>,
}

/// A request that ends without the provider's answer: what the client is told, and what is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The row of the table.
    pub reason: Reason,
    /// Text for people: what is wrong and what to do about it. Never holds a secret.
    pub message: String,
    /// The request's parameter at fault.
    pub param: Option<String>,
    /// The provider's error, where one was received.
    pub provider: Option<Box<ProviderError>>,
}

/// A refusal as it goes on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Vec<u8>,
    /// `Retry-After` in whole seconds, 1 to 60.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// A refusal with a text.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Refusal { reason, message: message.into(), param: None, provider: None }
    }

    /// Names the parameter at fault.
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// A provider's error answer.
    pub fn of_provider(provider_name: &str, error: ProviderError) -> Self {
        Refusal {
            reason: Reason::of_provider_status(error.status),
            message: format!("{provider_name} answered {}: {}", error.status, error.message),
            param: error.param.clone(),
            provider: Some(Box::new(error)),
        }
    }

    /// Whether gateway or provider made the answer, for the header `x-weirgate-answered-by`.
    pub fn answered_by(&self) -> &'static str {
        if self.provider.is_some() { "provider" } else { "gateway" }
    }

    /// Status, body and `Retry-After` for a door; `provider_name` is used where the contract quotes the provider.
    pub fn render(&self, door: Door, provider_name: &str) -> Rendered {
        let body = match door {
            Door::OpenAi => self.openai(),
            Door::Databricks => self.databricks(provider_name),
        };
        let status = self.status(door);
        let wait = self.provider.as_ref().and_then(|p| p.retry_after).or(self.reason.facts().retry_after);
        let retry_after = if matches!(status, 429 | 503 | 529) { Some(wait.unwrap_or(1).clamp(1, 60)) } else { None };
        Rendered { status, body: body.to_string().into_bytes(), retry_after }
    }

    /// The last event of a stream that broke after its first byte (contract §8.5): both shapes in one object.
    pub fn stream_event(&self, provider_name: &str) -> Value {
        let mut event = self.openai();
        if let (Some(event), Value::Object(mut databricks)) = (event.as_object_mut(), self.databricks(provider_name)) {
            event.append(&mut databricks);
        }
        event
    }

    fn status(&self, door: Door) -> u16 {
        let own = self.reason.facts().status;
        match (&self.provider, door) {
            // On /v1 these come through; the rest is folded as on the Databricks doors.
            (Some(p), Door::OpenAi) if matches!(p.status, 400 | 404 | 413 | 422 | 429 | 503 | 529) => p.status,
            _ => own,
        }
    }

    fn openai(&self) -> Value {
        let facts = self.reason.facts();
        match &self.provider {
            Some(p) if self.reason != Reason::ProviderAuth => json!({"error": {
                "message": p.message,
                "type": p.kind.as_deref().unwrap_or(facts.openai_type),
                "param": p.param,
                "code": p.code,
            }}),
            // The caller's own key is fine: the provider's text about a key would mislead.
            Some(p) => json!({"error": {
                "message": format!("the provider refused this gateway's credential ({}); the endpoint's owner must renew it", p.status),
                "type": facts.openai_type,
                "param": null,
                "code": p.code,
            }}),
            None => json!({"error": {
                "message": self.message,
                "type": facts.openai_type,
                "param": self.param,
                "code": facts.openai_code,
            }}),
        }
    }

    fn databricks(&self, provider_name: &str) -> Value {
        let message = match &self.provider {
            // The contract's form: JSON text inside the message.
            Some(p) => json!({"external_model_provider": provider_name, "external_model_error": p.body}).to_string(),
            None => self.message.clone(),
        };
        json!({"error_code": self.reason.facts().error_code, "message": broken_up(&message)})
    }

    /// Whether a provider or engine is at fault, for breakers and alarms.
    pub fn is_provider_fault(&self) -> bool {
        self.reason.facts().fault == Fault::Provider
    }
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
