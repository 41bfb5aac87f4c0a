//! Whether a document that a request leads to may be one: all rules of contract §§4.2-4.5, 5, 6.2 and 9, all violations in one text.

use std::collections::BTreeMap;

use weirgate_config::compile::{self, Context, Door};
use weirgate_config::document::{ConfigSpec, EndpointSpec};
use weirgate_config::rest::Flaws;
use weirgate_config::secret::{Reference, Resolver};
use weirgate_config::snapshot::Endpoint;
use weirgate_config::structure::UnknownKeys;
use weirgate_config::{Pointer, Problem, Snapshot, schema};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use super::{Request, Target};
use crate::credentials::{self, is_own, stored};
use crate::store::acls::Permission;
use crate::store::endpoints::Record;
use crate::{Caller, Control, ControlError};

/// References that are looked up: more than a document that the schema allows can hold.
const MAX_REFERENCES: usize = 2000;

/// A document on trial.
pub(super) struct Trial<'a> {
    pub control: &'a Control,
    pub snapshot: &'a Snapshot,
    pub caller: &'a Caller,
}

impl<'a> Trial<'a> {
    /// On behalf of a request that changes an endpoint.
    pub fn of(request: &'a Request, target: &Target<'a>) -> Self {
        Trial { control: &request.control, snapshot: target.snapshot, caller: &request.caller }
    }

    /// A document whose config came with the request: its secrets must be there and the caller's to use.
    pub fn brought(&self, spec: EndpointSpec, mut flaws: Flaws) -> Result<Endpoint, ControlError> {
        if let Some(config) = &spec.config {
            flaws.add(self.references(config)?);
        }
        self.verdict(spec, Door::Rest, flaws)
    }

    /// A document whose config was there before; one that waits is the one that counts if there is no other.
    pub fn kept(&self, spec: &EndpointSpec, record: &Record, flaws: Flaws) -> Result<Endpoint, ControlError> {
        let mut spec = spec.clone();
        spec.config = spec.config.or_else(|| Some(record.pending()?.config.clone()));
        self.verdict(spec, Door::File, flaws)
    }

    fn verdict(&self, spec: EndpointSpec, door: Door, mut flaws: Flaws) -> Result<Endpoint, ControlError> {
        let value = serde_json::to_value(&spec).unwrap_or_default();
        let context = Context {
            models: Some(&self.snapshot.models),
            allow_private: self.snapshot.settings.upstreams.allow_private,
            door,
            secrets: Resolver { folder: self.control.keeper.folder(), store: &**self.control.keeper.secrets() },
        };
        let (endpoint, rules) = compile::endpoint(spec, &context);
        flaws.add(schema::ENDPOINT.check(&value, UnknownKeys::Refuse));
        flaws.add(rules);
        endpoint.filter(|_| flaws.is_empty()).ok_or_else(|| refusal(&flaws))
    }

    /// References that the caller may not use. Whether they are well-formed and have a value is judged with the rest.
    fn references(&self, config: &ConfigSpec) -> Result<Vec<Problem>, ControlError> {
        let mut config = config.clone();
        let mut found: Vec<(Pointer, String)> = credentials::of_config(&mut config)
            .into_iter()
            .filter_map(|credential| Some((credential.at, credential.reference.take()?.0)))
            .collect();
        let models = config.served_models.iter().flatten().map(|model| &model.environment_vars);
        let entities = config.served_entities.iter().flatten().map(|entity| &entity.environment_vars);
        for (list, variables) in
            [("served_entities", entities.collect::<Vec<_>>()), ("served_models", models.collect())]
        {
            for (index, variables) in variables.into_iter().enumerate() {
                let at = Pointer::root().key("config").key(list).index(index).key("environment_vars");
                found.extend(variables.iter().map(|(name, value)| (at.key(name), value.0.clone())));
            }
        }
        let mut readable = BTreeMap::new();
        let mut problem = |(at, reference): (Pointer, String)| {
            Ok(self.refused(&reference, &mut readable)?.map(|why| Problem::error(at, why)))
        };
        found.into_iter().take(MAX_REFERENCES).map(&mut problem).filter_map(Result::transpose).collect()
    }

    /// Why a reference may not be used. `readable` keeps what is known of each scope.
    fn refused(&self, reference: &str, readable: &mut BTreeMap<String, bool>) -> Result<Option<String>, ControlError> {
        if matches!(Reference::parse(reference), Some(Reference::Env(_) | Reference::File(_))) {
            let why = "this form of reference is for files only; over REST use {{secrets/scope/key}}";
            return Ok(Some(why.to_owned()));
        }
        let Some((scope, _)) = stored(reference) else { return Ok(None) };
        if is_own(reference) {
            return Ok(Some(format!("the scope `{scope}` is the gateway's own; put the secret into a scope of yours")));
        }
        // One text for both, lest anyone find out which scopes there are.
        let allowed = match readable.get(scope) {
            Some(allowed) => *allowed,
            None => {
                let allowed = self.control.store.permission(self.caller, scope)? >= Some(Permission::Read);
                readable.insert(scope.to_owned(), allowed);
                allowed
            }
        };
        let why = || format!("there is no scope `{scope}` that {} may READ", self.caller.principal.name);
        Ok((!allowed).then(why))
    }
}

/// All that is wrong, in one text.
pub(super) fn refusal(flaws: &Flaws) -> ControlError {
    Refusal::new(Reason::InvalidParameter, flaws.to_string()).into()
}
