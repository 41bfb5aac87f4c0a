use std::os::unix::fs::PermissionsExt;

use super::*;

fn model(serving: Serving) -> Arc<Model> {
    Arc::new(Model {
        id: ModelId { name: "system.ai.m".into(), version: "1".into() },
        task: Some(weirgate_config::snapshot::Task::Chat),
        serving,
        served_name: None,
        model_type: None,
        throughput_chunk_size: None,
        default_system_prompt: None,
    })
}

fn settings() -> weirgate_config::snapshot::Settings {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weirgate.yaml"), "upstreams: { allow_private: true }").unwrap();
    weirgate_config::load(folder.path(), &weirgate_config::NoSecrets).unwrap().settings
}

/// Engines whose processes are this shell script.
struct Bench {
    shared: Arc<Registries>,
    settings: weirgate_config::snapshot::Settings,
    stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(script: &str) -> Self {
        // As the gateway does when it starts.
        pingora_rustls::install_default_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let command = folder.path().join("engine.sh");
        std::fs::write(&command, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut settings = settings();
        settings.engine.command = Some(command);
        let shared = Arc::new(Registries::new(&settings, folder.path()).unwrap());
        let stop = watch::Sender::new(false);
        let (running, stopped) = (shared.clone(), stop.subscribe());
        tokio::spawn(async move { running.engines.run(stopped).await });
        Bench { shared, settings, stop, _folder: folder }
    }

    fn ask(&self, model: &Arc<Model>) -> Arc<Engine> {
        self.shared.engines.ask(model, &self.settings.upstreams, &self.shared).unwrap()
    }
}

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_engine_that_never_gets_ready_has_failed_with_its_last_words() {
    let bench = Bench::new("echo on its way; echo 'no such model' >&2; exit 3");
    let model = model(Serving::Source("/nowhere".into()));
    assert_eq!(bench.ask(&model).deployment(), Deployment::Creating);
    let why = until(|| match bench.ask(&model).deployment() {
        Deployment::Failed(why) => Some(why),
        other => {
            assert_eq!(other, Deployment::Creating);
            None
        }
    })
    .await;
    assert!(why.contains("3 times") && why.contains("no such model"), "{why}");
    assert!(bench.shared.engines.log(&model.id).contains("on its way\n"));
    bench.stop.send_replace(true);
}

#[tokio::test]
async fn what_nobody_uses_or_asks_for_is_stopped_and_what_is_asked_for_stays() {
    let bench = Bench::new("exec sleep 60");
    let (used, asked) = (model(Serving::Source("/a".into())), model(Serving::Source("/b".into())));
    let used = bench.shared.engines.get_or_start(&used, &bench.settings.upstreams, &bench.shared).unwrap();
    let on_trial = bench.ask(&asked);
    assert!(!Arc::ptr_eq(&used, &on_trial));
    bench.shared.engines.keep_only([&used].into_iter());
    assert!(Arc::ptr_eq(&on_trial, &bench.ask(&asked)), "the same process when a config takes it over");
    assert!(bench.shared.engines.any_asked());
    *on_trial.asked.lock().unwrap() = Some(Instant::now().checked_sub(ON_TRIAL).unwrap());
    bench.shared.engines.keep_only([&used].into_iter());
    assert!(*on_trial.stop.borrow() && !*used.stop.borrow() && !bench.shared.engines.any_asked());
    assert!(!Arc::ptr_eq(&on_trial, &bench.ask(&asked)), "a new one");
    bench.stop.send_replace(true);
}

#[tokio::test]
async fn a_server_that_answers_pings_is_ready_and_recovers_when_it_is_gone() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let read = client.read(&mut asked).await.unwrap();
            let found = asked[..read].starts_with(b"GET /ping ");
            let status = if found { "200 OK" } else { "404 Not Found" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let bench = Bench::new("");
    let model = model(Serving::Server { url });
    assert_eq!(bench.ask(&model).deployment(), Deployment::Creating);
    until(|| (bench.ask(&model).deployment() == Deployment::Ready).then_some(())).await;
    server.abort();
    until(|| (bench.ask(&model).deployment() == Deployment::Recovering).then_some(())).await;
    bench.stop.send_replace(true);
}
