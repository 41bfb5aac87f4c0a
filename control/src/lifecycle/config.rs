//! A config's served entities in one form, whatever form it was written in.

use weirgate_config::compile::entity_name;
use weirgate_config::document::{ConfigSpec, ServedEntitySpec, Version};
use weirgate_config::snapshot::ModelId;

/// The entities in the new form with their names, defaults included; one that names no model at all is left out.
pub(crate) fn entities(config: &ConfigSpec) -> Vec<(String, ServedEntitySpec)> {
    let old = config.served_models.iter().flatten().cloned().map(ServedEntitySpec::from);
    let all = config.served_entities.iter().flatten().cloned().chain(old);
    all.filter_map(|entity| Some((entity_name(&entity)?, entity))).collect()
}

/// The same config with a name for each entity, and without what has no effect.
pub(crate) fn with_names(mut config: ConfigSpec) -> ConfigSpec {
    config.name = None;
    for entity in config.served_entities.iter_mut().flatten() {
        entity.name = entity_name(entity);
    }
    for model in config.served_models.iter_mut().flatten() {
        model.name = entity_name(&model.clone().into());
    }
    config
}

/// The model of the catalogue that an entity names.
pub(crate) fn model(entity: &ServedEntitySpec) -> Option<ModelId> {
    let Version(version) = entity.entity_version.as_ref()?;
    Some(ModelId { name: entity.entity_name.as_deref()?.into(), version: version.as_str().into() })
}
