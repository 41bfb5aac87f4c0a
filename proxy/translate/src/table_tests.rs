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
fn the_table_names_every_parameter_and_pair() {
    let table = markdown(Task::Chat);
    assert!(table.starts_with("| parameter |") && table.contains(" anthropic messages |"));
    assert!(table.contains("\n| `logit_bias` |") && !table.contains("|  |"));
    assert_eq!(table.lines().count(), params_of(Task::Chat).len() + 2);
}
