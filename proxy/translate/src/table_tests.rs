use super::*;

#[test]
fn every_parameter_is_in_exactly_one_list_of_every_pair() {
    for pair in crate::pairs() {
        let Params { mapped, dropped, refused } = pair.params;
        let listed: Vec<_> = [mapped, dropped, refused].concat();
        for param in params_of(pair.task()) {
            let times = listed.iter().filter(|listed| *listed == param).count();
            assert_eq!(times, 1, "{} {}: {param} must be mapped, dropped or refused", pair.provider, pair.api);
        }
        for param in &listed {
            assert!(params_of(pair.task()).contains(param), "{} {}: no {param}", pair.provider, pair.api);
        }
    }
}

#[test]
fn the_table_names_every_parameter_once() {
    for task in [Task::Chat, Task::Completions, Task::Embeddings] {
        let table = markdown(task);
        for param in params_of(task) {
            assert_eq!(table.matches(&format!("`{param}`")).count(), 1, "{param} in\n{table}");
        }
        assert!(!table.contains("|  |"), "a cell is empty:\n{table}");
    }
}

#[test]
fn the_documented_tables_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
    let written = std::fs::read_to_string(path).unwrap();
    let mut fresh = written.clone();
    for task in [Task::Chat, Task::Completions, Task::Embeddings] {
        let start = format!("<!-- table of {}, generated -->\n", task.name());
        let (before, rest) = fresh.split_once(&start).unwrap_or_else(|| panic!("{path} lacks {start}"));
        let (_, after) = rest.split_once("<!-- end of table -->").unwrap();
        fresh = format!("{before}{start}\n{}\n<!-- end of table -->{after}", markdown(task));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &fresh).unwrap();
    } else {
        assert!(fresh == written, "{path} is stale: UPDATE_DOCS=1 cargo test -p weirgate-translate documented");
    }
}
