//! What it proves: a cluster that is not as it must be is told in words that help, once; what a
//! person must mend ends the run, what passes is waited for.

use std::process::Output;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rustix::process::Signal;
use testbed::{Kafka, KafkaOptions, PgVersion};

use super::acl::{Of, Says, rule};
use crate::e2e::sessions::{create, seller};
use crate::support::{Shop, Tailstock, Topics, Workspace, eventually, own_cluster, shared_broker};

/// How long a cluster may leave us in the dark before it is told.
const PATIENCE: Duration = Duration::from_secs(15);

/// A shop that is as it must be.
struct Scene {
    shop: Shop,
}

impl Scene {
    async fn new(test: &str) -> Option<Self> {
        let shop = Shop::start(PgVersion::V15, test).await?;
        create(&shop).await;
        Some(Self { shop })
    }

    fn workspace(&self, main: &str) -> Workspace {
        let workspace = Workspace::new(main, &seller(&self.shop));
        std::fs::write(workspace.path("wrong"), "hunter2\n").unwrap();
        std::fs::write(workspace.path("right"), "open sesame\n").unwrap();
        workspace
    }

    /// Runs tailstock and compares what it says at its end.
    async fn tells(&self, name: &str, main: &str) {
        let workspace = self.workspace(main);
        let begun = Instant::now();
        let output = run(&workspace).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{name}: {told}");
        assert!(begun.elapsed() < PATIENCE, "{name} took {:?}", begun.elapsed());
        for error in told.split("\nerror: ") {
            assert!(error.contains("\n  fix: "), "{name}: {told}");
        }
        assert_eq!(self.slots().await, "0", "{name} left a slot");
        compare(name, &told);
    }

    /// Runs tailstock until it has said something, `meanwhile` has passed and a signal ends it, and
    /// compares what it has said.
    async fn tells_and_goes_on(&self, name: &str, main: &str, meanwhile: impl AsyncFnOnce()) {
        let workspace = self.workspace(main);
        let mut run = Tailstock::start(&workspace, &["--log-level", "warn", "run"]);
        eventually(name, PATIENCE, async || (!run.log().is_empty()).then_some(())).await;
        meanwhile().await;
        run.signal(Signal::TERM);
        let status = run.wait(Duration::from_secs(5)).await;
        assert_eq!(status.code(), Some(0), "{name}: {}", run.log());
        compare(name, &run.log());
    }

    async fn slots(&self) -> String {
        self.shop.text("SELECT count(*)::text FROM pg_replication_slots").await
    }
}

async fn run(workspace: &Workspace) -> Output {
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(["--log-level", "error", "--config", "tailstock.toml", "run", "--until-current"])
        .current_dir(workspace.folder())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(Duration::from_secs(120), run).await;
    ended.expect("it ends by itself").unwrap()
}

fn compare(name: &str, told: &str) {
    assert!(!told.contains("hunter2") && !told.contains("sesame"), "{name} tells a secret: {told}");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("snapshots");
    // What differs from run to run: ports, prefixes, times, and where files lie.
    settings.add_filter(r":\d{4,5}\b", ":PORT");
    settings.add_filter(r"\bt[0-9a-f]+-\d+-\d+\.", "PREFIX.");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\S+", "TIME");
    settings.bind(|| insta::assert_snapshot!(name, told));
}

fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap()
}

/// Makes a topic as somebody else would.
async fn make(kafka: &Kafka, name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let mut new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        new = new.set(key, value);
    }
    let made = admin(kafka).create_topics(&[new], &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

fn properties(lines: &str) -> String {
    format!("[sink.properties]\n{lines}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_is_told_once_and_waited_for() {
    let test = "a_cluster_that_is_not_there_is_told_once_and_waited_for";
    let Some(scene) = Scene::new(test).await else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let main = Topics::new(&address).main_file("");
    scene.tells_and_goes_on("never_answers", &main, async || ()).await;
    // Whoever connects is hung up on, and comes again: often enough for a second telling.
    let (count, mut counted) = tokio::sync::watch::channel(0);
    let hangs_up = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
            count.send_modify(|count| *count += 1);
        }
    });
    let comes_again = async || {
        let before = *counted.borrow();
        counted.wait_for(|count| *count > before + 20).await.unwrap();
    };
    scene.tells_and_goes_on("hangs_up", &main, comes_again).await;
    hangs_up.abort();

    let nobody = Topics::new(&address).main_file("");
    scene.tells_and_goes_on("nothing_listens", &nobody, async || ()).await;
    // No name begins like this: it is known without asking a server of names, which may be away.
    let nowhere = Topics::new("-kafka.invalid:9092").main_file("");
    scene.tells_and_goes_on("host_name_unknown", &nowhere, async || ()).await;
    let postgres = format!("127.0.0.1:{}", scene.shop.port());
    let postgres = Topics::new(&postgres).main_file("");
    scene.tells_and_goes_on("port_of_another_program", &postgres, async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_says_why() {
    let test = "a_login_that_fails_says_why";
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                  user_shop=\"open sesame\";";
    let options = KafkaOptions::default()
        .listener("SASL_PLAINTEXT")
        .setting("listener.name.secure.sasl.enabled.mechanisms", "PLAIN")
        .setting("listener.name.secure.plain.sasl.jaas.config", module)
        .acl();
    let Some(kafka) = own_cluster(options, test).await else { return };
    let Some(scene) = Scene::new(test).await else { return };
    let secure = |lines: &str| Topics::new(&kafka.secure_bootstrap()).main_file(&properties(lines));
    let plain = |password: &str| {
        format!(
            "\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"PLAIN\"\n\
             \"sasl.username\" = \"shop\"\n\"sasl.password\" = {{ file = \"{password}\" }}"
        )
    };
    scene.tells("password_wrong", &secure(&plain("wrong"))).await;
    let scram = plain("right").replace("PLAIN\"", "SCRAM-SHA-256\"");
    scene.tells("mechanism_not_offered", &secure(&scram)).await;
    let nameless = plain("right").replace("\"sasl.username\" = \"shop\"\n", "");
    scene.tells("password_without_a_name", &secure(&nameless)).await;
    let no_authority = "\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"wrong\"";
    scene.tells("authority_file_is_none", &secure(no_authority)).await;
    scene.tells("topics_may_not_be_created", &secure(&plain("right"))).await;
    rule(&kafka, Of::Topic, "*", Says::AllowAll).await;
    scene.tells("transactions_not_allowed", &secure(&plain("right"))).await;
    let ssl = properties("\"security.protocol\" = \"ssl\"");
    let ssl = Topics::new(&kafka.bootstrap()).main_file(&ssl);
    scene.tells_and_goes_on("tls_asked_of_a_plain_port", &ssl, async || ()).await;
    scene.tells_and_goes_on("login_wanted_and_none_given", &secure(""), async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_prove_who_it_is_is_not_talked_to() {
    let test = "a_broker_that_cannot_prove_who_it_is_is_not_talked_to";
    let signed = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (strange, other) = (signed("kafka.example"), signed("localhost"));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let own = format!("{}{}", strange.signing_key.serialize_pem(), strange.cert.pem());
    let options = KafkaOptions::default()
        .listener("SSL")
        .setting("listener.name.secure.ssl.keystore.type", "PEM")
        .setting("listener.name.secure.ssl.keystore.location", &file("broker.pem", own));
    let Some(kafka) = own_cluster(options, test).await else { return };
    let Some(scene) = Scene::new(test).await else { return };
    let with = |authority: &str| {
        let lines = format!("\"security.protocol\" = \"ssl\"\n{authority}");
        Topics::new(&kafka.secure_bootstrap()).main_file(&properties(&lines))
    };
    let authority = |path: &str| format!("\"ssl.ca.location\" = \"{path}\"");
    let unknown = authority(&file("other.pem", other.cert.pem()));
    scene.tells("certificate_of_an_unknown_authority", &with(&unknown)).await;
    let named = authority(&file("own.pem", strange.cert.pem()));
    scene.tells("certificate_of_another_name", &with(&named)).await;
    scene.tells("certificate_of_nobody_known", &with("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_will_not_do_say_why() {
    let test = "topics_that_will_not_do_say_why";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(scene) = Scene::new(test).await else { return };
    let new = || Topics::new(&kafka.bootstrap());
    let compacted = ("cleanup.policy", "compact");
    for (name, topic, partitions, setting, options) in [
        ("events_with_other_partitions", "stock.events.v1", 3, None, "partitions = 6"),
        ("events_are_compacted", "stock.events.v1", 12, Some(compacted), ""),
        ("levels_are_deleted", "stock.levels.v1", 12, None, ""),
        ("checkpoints_are_deleted", "tailstock.checkpoints", 1, None, ""),
        ("checkpoints_with_two_partitions", "tailstock.checkpoints", 2, Some(compacted), ""),
        ("rows_with_two_partitions", "tailstock.rows", 2, Some(compacted), ""),
    ] {
        let topics = new();
        let settings: Vec<_> = setting.into_iter().collect();
        make(kafka, &topics.name(topic), partitions, &settings).await;
        scene.tells(name, &topics.main_file(options)).await;
    }
    scene.tells("fewer_brokers_than_copies", &new().main_file("replication_factor = 3")).await;
    let slow = properties("\"transaction.timeout.ms\" = 2000000");
    scene.tells("transactions_too_long", &new().main_file(&slow)).await;

    for (name, key, value) in [
        ("checkpoints_of_another_program", "offsets", "1"),
        ("checkpoints_of_a_later_version", "#owner/test/0", "format 9"),
    ] {
        let topics = new();
        let checkpoints = topics.name("tailstock.checkpoints");
        make(kafka, &checkpoints, 1, &[compacted]).await;
        write(kafka, &checkpoints, key, value);
        scene.tells(name, &topics.main_file("")).await;
    }

    let topics = new();
    let workspace = scene.workspace(&topics.main_file("partitions = 2"));
    let first = run(&workspace).await;
    assert!(first.status.success(), "{first:?}");
    let name = topics.name("stock.events.v1");
    let more = NewPartitions::new(&name, 5);
    let made = admin(kafka).create_partitions(&[more], &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    scene.shop.execute("SELECT pg_drop_replication_slot('test_acme_main')").await;
    scene.tells("partitions_were_added", &topics.main_file("")).await;
}

fn write(kafka: &Kafka, topic: &str, key: &str, value: &str) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    producer.send(BaseRecord::to(topic).key(key).payload(value)).unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
}
