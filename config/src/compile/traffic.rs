//! The split of traffic (contract §4.3).

use std::collections::BTreeMap;

use super::Findings;
use crate::{diagnostic::Pointer, document::ConfigSpec, structure::closest};

/// The weight of each named entity, in percent.
pub(super) fn weights(config: &ConfigSpec, names: &[&str], at: &Pointer, out: &mut Findings) -> BTreeMap<String, u32> {
    let Some(traffic) = &config.traffic_config else {
        if names.len() > 1 {
            let message = "`traffic_config` is missing; with several served entities its routes must split 100 percent among them";
            out.error(at, message);
        }
        return names.iter().map(|name| ((*name).to_owned(), 100)).collect();
    };
    let at = at.key("traffic_config").key("routes");
    let mut weights: BTreeMap<String, u32> = BTreeMap::new();
    for (index, route) in traffic.routes.iter().enumerate() {
        let at = at.index(index);
        let name = match (&route.served_model_name, &route.served_entity_name) {
            (Some(model), Some(entity)) if model != entity => {
                out.error(
                    &at.key("served_entity_name"),
                    "`served_entity_name` and `served_model_name` differ; keep one",
                );
                continue;
            }
            (Some(name), _) => (name, "served_model_name"),
            (None, Some(name)) => (name, "served_entity_name"),
            (None, None) => {
                out.error(&at, "`served_model_name` is missing; name the served entity");
                continue;
            }
        };
        let (name, key) = name;
        if !names.contains(&name.as_str()) {
            let hint = closest(name, names).map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            out.error(
                &at.key(key),
                format!("no served entity is called `{name}`; {hint}there are: {}", names.join(", ")),
            );
        } else if weights.contains_key(name) {
            out.error(&at.key(key), format!("`{name}` has a route already; keep one per served entity"));
            continue;
        }
        weights.insert(name.clone(), route.traffic_percentage.0);
    }
    let sum: u32 = traffic.routes.iter().map(|route| route.traffic_percentage.0).sum();
    if sum != 100 {
        out.error(&at, format!("the percentages sum to {sum}; they must sum to exactly 100"));
    }
    weights
}
