//! The list of endpoints as OpenAI clients know it.

use pingora_core::protocols::http::ServerSession;
use serde_json::{Value, json};
use weirgate_policy::door::Refusal;

use crate::call::authenticate;
use crate::reply::{self, Story};
use crate::table::{Endpoint, Table};

/// `GET …/models`: those that the caller may query.
pub async fn list(session: &mut ServerSession, table: &Table, request_id: &str) -> Result<(), Refusal> {
    let principal = authenticate(session, table)?;
    let data: Vec<Value> = table.visible_to(&principal).into_iter().map(entry).collect();
    write(session, &json!({"object": "list", "data": data}), request_id).await;
    Ok(())
}

/// `GET …/models/{name}`.
pub async fn one(session: &mut ServerSession, table: &Table, name: &str, request_id: &str) -> Result<(), Refusal> {
    let principal = authenticate(session, table)?;
    let endpoint = table.endpoint(name)?;
    endpoint.authorise(&principal)?;
    write(session, &entry(endpoint), request_id).await;
    Ok(())
}

fn entry(endpoint: &Endpoint) -> Value {
    // The API has a creation time; endpoints from files have none of their own.
    json!({"id": &*endpoint.name, "object": "model", "created": 0, "owned_by": "weirgate"})
}

async fn write(session: &mut ServerSession, value: &Value, request_id: &str) {
    let story = Story { request_id, entity: None, attempts: 0 };
    if let Ok(head) = reply::head(200, "application/json", "gateway", &story) {
        // A client that has left needs no answer.
        let _ = reply::whole(session, head, value.to_string().into()).await;
    }
}
