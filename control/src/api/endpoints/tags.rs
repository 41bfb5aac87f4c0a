//! PATCH tags (contract §4.5): adds first, an existing key being overwritten, then deletes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_config::document::TagSpec;

use super::judge::Trial;
use super::{Answer, Method, Problem, Request, Route, change, form};
use crate::lifecycle::Step;

pub(super) fn routes() -> Vec<Route> {
    let path = "/api/2.0/serving-endpoints/{name}/tags";
    let route = Route::new(Method::Patch, path, "Add and delete tags of an endpoint.", patch);
    vec![route.takes::<TagsPatch>().answers::<Tags>().audits("endpoint.tags")]
}

/// Tags to add and to delete.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
struct TagsPatch {
    /// Added first; a tag with the same key is overwritten.
    #[schemars(length(max = 100))]
    add_tags: Vec<TagSpec>,
    /// Keys to delete; unknown ones are no error.
    #[schemars(length(max = 100), inner(length(max = 127)))]
    delete_tags: Vec<String>,
}

/// All tags of an endpoint.
#[derive(Debug, Serialize, JsonSchema)]
struct Tags {
    /// By key.
    tags: Vec<TagSpec>,
}

fn patch(request: Request) -> Result<Answer, Problem> {
    change(
        &request,
        form!(TagsPatch),
        |target, patch: TagsPatch, flaws| {
            let mut spec = target.document();
            spec.tags = patched(std::mem::take(&mut spec.tags), patch);
            Trial::of(&request, target).kept(&spec, &target.record, flaws)?;
            Ok(Step::Document(spec))
        },
        |endpoint, _| Tags { tags: endpoint.document.tags.clone() },
    )
}

fn patched(tags: Vec<TagSpec>, patch: TagsPatch) -> Vec<TagSpec> {
    let all = tags.into_iter().chain(patch.add_tags);
    let mut by_key: BTreeMap<String, TagSpec> = all.map(|tag| (tag.key.clone(), tag)).collect();
    for key in &patch.delete_tags {
        by_key.remove(key);
    }
    by_key.into_values().collect()
}
