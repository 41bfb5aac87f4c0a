use super::*;

const LIMIT: Duration = Duration::from_secs(60);

fn verdict(models: &[Option<Deployment>], waited: Duration) -> Verdict {
    let names = ["a", "b", "c"].into_iter().map(str::to_owned);
    Verdict::of(&names.zip(models.iter().cloned()).collect::<Vec<_>>(), waited, LIMIT)
}

fn failed(of: &[&str], verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fail(reasons) if reasons.keys().eq(of.iter()))
}

#[test]
fn all_must_be_ready() {
    use Deployment::{Creating, Ready, Recovering};
    let early = Duration::from_secs(1);
    assert_eq!(verdict(&[Some(Ready), Some(Ready)], early), Verdict::Ready);
    assert_eq!(verdict(&[Some(Ready), Some(Creating)], early), Verdict::Wait);
    assert_eq!(verdict(&[Some(Recovering), Some(Ready)], early), Verdict::Wait);
    // Ready at the last moment is ready.
    assert_eq!(verdict(&[Some(Ready)], LIMIT), Verdict::Ready);
}

#[test]
fn one_failure_is_enough_and_names_only_those_that_failed() {
    use Deployment::{Creating, Failed, Ready};
    let early = Duration::from_secs(1);
    let verdict_of = verdict(&[Some(Ready), Some(Failed("no memory".into())), Some(Creating)], early);
    assert_eq!(verdict_of, Verdict::Fail(BTreeMap::from([("b".to_owned(), "no memory".to_owned())])));
    assert!(failed(&["a"], &verdict(&[None, Some(Ready)], early)));
    assert!(failed(&["b"], &verdict(&[Some(Ready), Some(Creating)], LIMIT)));
}
