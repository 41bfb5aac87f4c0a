//! The list of endpoints as OpenAI clients know it.

use pingora_core::protocols::http::ServerSession;
use serde_json::{Value, json};
use weirgate_policy::door::Refusal;

use crate::call::authenticate;
use crate::live::Live;
use crate::reply::{self, Story};
use crate::table::{Endpoint, Table};

/// `GET …/models`: those that the caller may query.
pub async fn list(session: &mut ServerSession, live: &Live, table: &Table, story: &Story<'_>) -> Result<(), Refusal> {
    let principal = authenticate(session, live).await?;
    let data: Vec<Value> = table.visible_to(&principal).into_iter().map(|endpoint| entry(live, endpoint)).collect();
    write(session, &json!({"object": "list", "data": data}), story).await;
    Ok(())
}

/// `GET …/models/{name}`.
pub async fn one(
    session: &mut ServerSession,
    live: &Live,
    table: &Table,
    name: &str,
    story: &Story<'_>,
) -> Result<(), Refusal> {
    let principal = authenticate(session, live).await?;
    let endpoint = table.endpoint(name)?;
    endpoint.authorise(&principal)?;
    write(session, &entry(live, endpoint), story).await;
    Ok(())
}

fn entry(live: &Live, endpoint: &Endpoint) -> Value {
    let created = live.created(&endpoint.name);
    json!({"id": &*endpoint.name, "object": "model", "created": created, "owned_by": "weirgate"})
}

async fn write(session: &mut ServerSession, value: &Value, story: &Story<'_>) {
    if let Ok(head) = reply::head(200, "application/json", "gateway", story) {
        // A client that has left needs no answer.
        let _ = reply::whole(session, head, value.to_string().into()).await;
    }
}
