use std::{fs, path::Path};

use super::*;

#[test]
fn the_schemas_in_the_repo_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for (name, schema) in all() {
        let (path, text) = (folder.join(name), to_text(schema));
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "config/schema/{name} is stale: run `weirgate schema --write config/schema` or `UPDATE_SCHEMA=1 cargo test -p weirgate-config`"
        );
    }
}
