use std::os::unix::fs::PermissionsExt;

use weirgate_config::SecretSource;

use super::*;

const SCOPE: &str = "weirgate.one";

fn put(store: &Store, value: &str) {
    store.put_own_secrets(SCOPE, &[("key".into(), value)]).unwrap();
}

fn get(store: &Store) -> Option<String> {
    SecretSource::get(store, SCOPE, "key")
}

fn key_file(folder: &Path) -> String {
    fs::read_to_string(folder.join("master.key")).unwrap()
}

fn refused(result: Result<impl Sized, ControlError>) -> String {
    match result {
        Err(ControlError::MasterKey(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn the_key_file_is_made_once_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert!(!folder.path().join("master.key").exists());
    store.unlock(None).unwrap();
    assert_eq!(folder.path().join("master.key").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = key_file(folder.path());
    put(&store, "value");
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    store.unlock(None).unwrap();
    assert_eq!((get(&store).as_deref(), key_file(folder.path())), (Some("value"), text));
}

#[test]
fn processes_that_start_at_once_settle_on_one_key() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = folder.path();
            scope.spawn(move || {
                let store = Store::open(path).unwrap();
                store.unlock(None).unwrap();
                store.put_own_secrets(&format!("weirgate.{n}"), &[("key".into(), "value")]).unwrap();
            });
        }
    });
    let store = Store::open(folder.path()).unwrap();
    store.unlock(None).unwrap();
    for n in 0..8 {
        assert_eq!(store.get(&format!("weirgate.{n}"), "key").as_deref(), Some("value"));
    }
}

#[test]
fn a_wrong_or_missing_key_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.unlock(None).unwrap();
    put(&store, "value");
    let text = key_file(folder.path());

    let other = Store::open(folder.path()).unwrap();
    assert!(refused(other.unlock(Some(MasterKey::generate()))).contains("unset it"));
    assert_eq!(get(&other), None);
    assert!(other.put_own_secrets(SCOPE, &[("key".into(), "x")]).is_err());

    fs::remove_file(folder.path().join("master.key")).unwrap();
    let other = Store::open(folder.path()).unwrap();
    assert!(refused(other.unlock(None)).contains("restore the file"));
    assert!(!folder.path().join("master.key").exists(), "a new key would be of no use");
    fs::write(folder.path().join("master.key"), &*MasterKey::generate().to_text()).unwrap();
    assert!(refused(other.unlock(None)).contains("restore the file"));
    fs::write(folder.path().join("master.key"), "rubbish").unwrap();
    assert!(refused(other.unlock(None)).contains("32 bytes in base64"));
    // What is not about secrets goes on working.
    other.ensure_service_principal("app", "").unwrap();

    fs::remove_file(folder.path().join("master.key")).unwrap();
    let other = Store::open(folder.path()).unwrap();
    other.unlock(Some(MasterKey::parse(&text).unwrap())).unwrap();
    assert_eq!(get(&other).as_deref(), Some("value"));
}

#[test]
fn while_nothing_is_sealed_the_operator_may_choose_another_key() {
    let folder = tempfile::tempdir().unwrap();
    let before = Store::open(folder.path()).unwrap();
    before.unlock(None).unwrap();
    let given = MasterKey::generate();
    let text = given.to_text();
    let store = Store::open(folder.path()).unwrap();
    store.unlock(Some(given)).unwrap();
    put(&store, "value");
    // The one that still has the key in the file cannot mix keys.
    assert!(before.put_own_secrets("weirgate.two", &[("key".into(), "x")]).is_err());
    let again = Store::open(folder.path()).unwrap();
    again.unlock(Some(MasterKey::parse(&text).unwrap())).unwrap();
    assert_eq!(get(&again).as_deref(), Some("value"));
}

#[test]
fn a_running_gateway_follows_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Store::open(folder.path()).unwrap();
    gateway.unlock(None).unwrap();
    put(&gateway, "value");
    let old = key_file(folder.path());

    let command = Store::open(folder.path()).unwrap();
    command.unlock(None).unwrap();
    gateway.changed_elsewhere().unwrap();
    assert_eq!(command.rotate_master_key(None).unwrap(), 1);
    assert!(gateway.changed_elsewhere().unwrap());
    assert_ne!(key_file(folder.path()), old);
    assert!(!folder.path().join("master.key.new").exists());
    assert_eq!(get(&gateway).as_deref(), Some("value"));
    put(&gateway, "next");
    assert_eq!(get(&command).as_deref(), Some("next"));
    // The old key opens nothing any more.
    fs::write(folder.path().join("master.key"), old).unwrap();
    refused(Store::open(folder.path()).unwrap().unlock(None));
}

#[test]
fn a_key_of_the_operators_is_rotated_to_another_of_his() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (old, new) = (MasterKey::generate(), MasterKey::generate());
    let (old_text, text) = (old.to_text(), new.to_text());
    let key = |text: &str| MasterKey::parse(text).unwrap();
    store.unlock([old]).unwrap();
    put(&store, "value");
    // One gateway has been told of the new key before, the other has not.
    let (told, untold) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
    told.unlock([key(&old_text), key(&text)]).unwrap();
    untold.unlock([key(&old_text)]).unwrap();
    assert!(refused(store.rotate_master_key(None)).contains("passed in"));
    assert_eq!(store.rotate_master_key(Some(new)).unwrap(), 1);
    assert_eq!(get(&store).as_deref(), Some("value"));
    assert_eq!((get(&told).as_deref(), get(&untold)), (Some("value"), None));
    assert!(!folder.path().join("master.key").exists() && !folder.path().join("master.key.new").exists());
    let restarted = Store::open(folder.path()).unwrap();
    restarted.unlock([key(&text)]).unwrap();
    assert_eq!(get(&restarted).as_deref(), Some("value"));
}

#[test]
fn a_secret_that_does_not_open_stops_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.unlock(None).unwrap();
    put(&store, "value");
    store.put_own_secrets(SCOPE, &[("bad".into(), "x")]).unwrap();
    let spoil = "UPDATE secrets SET sealed = zeroblob(40) WHERE key = 'bad'";
    store.write(|transaction| Ok(transaction.execute(spoil, [])?)).unwrap();
    let old = key_file(folder.path());
    assert!(refused(store.rotate_master_key(None)).contains("weirgate.one/bad"));
    assert_eq!((get(&store).as_deref(), store.get(SCOPE, "bad")), (Some("value"), None));
    let store = Store::open(folder.path()).unwrap();
    store.unlock(None).unwrap();
    assert_eq!((get(&store).as_deref(), key_file(folder.path())), (Some("value"), old));
}

/// A rotation that is cut off between its three steps: new file, transaction, rename.
#[test]
fn a_rotation_that_was_cut_off_is_undone_or_finished() {
    for committed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.unlock(None).unwrap();
        put(&store, "value");
        let old = store.keyring.current.load_full().unwrap();
        let new = MasterKey::generate();
        write_key(&store.keyring.new_file(), &new).unwrap();
        if committed {
            let rotate = |transaction: &Transaction<'_>| {
                reseal(transaction, &old, &new)?;
                settle_on(transaction, new.id())
            };
            store.write(rotate).unwrap();
        }
        // A gateway that was running goes on either way, before anybody has tidied up.
        assert_eq!(get(&store).as_deref(), Some("value"));
        assert!(store.keyring.new_file().exists());
        let restarted = Store::open(folder.path()).unwrap();
        restarted.unlock(None).unwrap();
        assert!(!store.keyring.new_file().exists());
        let expected = if committed { &new } else { &*old };
        assert_eq!(MasterKey::parse(&key_file(folder.path())).unwrap().id(), expected.id());
        for store in [&store, &restarted] {
            assert_eq!(get(store).as_deref(), Some("value"));
            put(store, "value");
        }
    }
}
