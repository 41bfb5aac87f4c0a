use proptest::prelude::*;

use super::*;

/// What can happen to an endpoint.
#[derive(Debug, Clone)]
enum Event {
    /// The API makes a config the active one at once.
    Apply(u8),
    /// The API asks for a config whose models are not ready.
    Start(u8),
    /// The models of the waiting config are ready.
    Ready,
    Fail,
    Cancel,
    /// Someone writes the file with this config, or without any.
    File(Option<u8>),
    /// A change of something else, by either door.
    Describe(u8),
    /// `managed_by: file` is set or taken away.
    OnlyByFile(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..3u8).prop_map(Event::Apply),
        (0..3u8).prop_map(Event::Start),
        Just(Event::Ready),
        Just(Event::Fail),
        Just(Event::Cancel),
        proptest::option::of(0..3u8).prop_map(Event::File),
        (0..2u8).prop_map(Event::Describe),
        any::<bool>().prop_map(Event::OnlyByFile),
    ]
}

fn config(number: u8) -> ConfigSpec {
    let entity = weirgate_config::document::ServedEntitySpec {
        name: Some(format!("e{}", number / 2)),
        entity_name: Some(format!("m{number}")),
        entity_version: Some(weirgate_config::document::Version("1".into())),
        ..Default::default()
    };
    ConfigSpec { served_entities: Some(vec![entity]), ..ConfigSpec::default() }
}

fn author(name: &str) -> Author {
    Author { name: name.into(), kind: Some("User".into()) }
}

/// The document that is served.
#[derive(Debug, Clone, Default, PartialEq)]
struct Served {
    config: Option<u8>,
    description: u8,
    only_by_file: bool,
}

impl Served {
    fn seen(&self) -> Seen {
        let config = self.config.map(config);
        let named = config.as_ref().map(entities).unwrap_or_default();
        Seen {
            document: format!("{self:?}"),
            config: config.as_ref().map(fingerprint),
            entities: named.into_iter().map(|(name, entity)| (name, fingerprint(&entity))).collect(),
            only_by_file: self.only_by_file,
        }
    }
}

/// What the API does with a document: if it is the same, nobody takes note of it but the API itself.
fn apply(record: &mut Record, served: &mut Served, config: u8, now: u64) {
    served.config = Some(config);
    if !record.observe(&served.seen(), &author("api"), now) {
        record.reaffirm(now);
    }
}

proptest! {
    /// Whatever happens, in whatever order: one update at a time, the active config stays until another one is active, versions and
    /// times only grow, identity never changes, and the row always says what is served.
    #[test]
    fn any_events(first in proptest::option::of(0..3u8), waits in proptest::option::of(0..3u8), events in prop::collection::vec(event(), 0..40)) {
        let mut served = Served { config: first, ..Served::default() };
        let mut record = Record::reserved(author("creator"), 1000);
        if let (None, Some(number)) = (first, waits) {
            prop_assert!(record.start(config(number), author("creator"), 1000));
        }
        record.observe(&served.seen(), &author("creator"), 1000);
        prop_assert_eq!(record.config_version, u64::from(first.is_some()));
        let (id, mut pending) = (record.id.clone(), waits.filter(|_| first.is_none()));
        for (step, event) in events.into_iter().enumerate() {
            // The clock may stand still or go back.
            let now = 1000 + (step as u64 % 5);
            let before = (record.clone(), served.clone());
            match event {
                // The API refuses to touch it.
                Event::Apply(_) | Event::Start(_) if served.only_by_file => continue,
                Event::Apply(number) if pending.is_none() => apply(&mut record, &mut served, number, now),
                Event::Apply(_) => continue,
                Event::Start(number) => {
                    let started = record.start(config(number), author("updater"), now);
                    prop_assert_eq!(started, pending.is_none());
                    if !started {
                        prop_assert_eq!(&record, &before.0);
                        continue;
                    }
                    pending = Some(number);
                }
                Event::Ready => match pending.take() {
                    Some(number) => {
                        let by = record.pending().map(|pending| pending.by.name.clone());
                        apply(&mut record, &mut served, number, now);
                        prop_assert_eq!(&record.update, &Update::NotUpdating);
                        let made = record.entities.values().next().unwrap().clone();
                        prop_assert!(before.0.entities.values().any(|old| *old == made) || Some(made.by) == by);
                    }
                    None => continue,
                },
                Event::Fail => {
                    let reasons = BTreeMap::from([("e0".to_owned(), "why".to_owned())]);
                    prop_assert_eq!(record.fail(reasons, now), pending.is_some());
                    if pending.take().is_none() {
                        continue;
                    }
                    prop_assert!(matches!(&record.update, Update::UpdateFailed(_)));
                }
                Event::Cancel => {
                    prop_assert_eq!(record.cancel(now), pending.is_some());
                    if pending.take().is_none() {
                        continue;
                    }
                    prop_assert_eq!(&record.update, &Update::UpdateCanceled);
                }
                Event::File(number) => {
                    served.config = number;
                    record.observe(&served.seen(), &Author::file(), now);
                    if served.config != before.1.config && pending.take().is_some_and(|waiting| Some(waiting) != number) {
                        prop_assert_eq!(&record.update, &Update::UpdateCanceled);
                    }
                }
                Event::Describe(text) => {
                    served.description = text;
                    record.observe(&served.seen(), &Author::file(), now);
                }
                Event::OnlyByFile(only) => {
                    served.only_by_file = only;
                    if record.observe(&served.seen(), &Author::file(), now) && only {
                        pending = None;
                    }
                }
            }
            prop_assert_eq!(record.pending().map(|pending| pending.config.clone()), pending.map(config));
            let seen = served.seen();
            prop_assert_eq!(&record.config, &seen.config);
            prop_assert_eq!(record.document.as_ref(), Some(&seen.document));
            let names: Vec<&String> = record.entities.keys().collect();
            prop_assert_eq!(names, seen.entities.iter().map(|(name, _)| name).collect::<Vec<_>>());
            let grown = record.config_version - before.0.config_version;
            prop_assert!(grown <= 1 && (grown == 1 || served.config == before.1.config));
            prop_assert!(record.updated_at > before.0.updated_at || record == before.0);
            prop_assert_eq!((&record.id, record.created_at, &record.creator.name[..]), (&id, 1000, "creator"));
            // Seeing the same once more changes nothing, nor does a restart.
            let again = record.clone();
            prop_assert!(!record.observe(&seen, &Author::file(), now + 1));
            prop_assert_eq!(&record, &again);
            record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
            prop_assert_eq!(&record, &again);
        }
    }
}
