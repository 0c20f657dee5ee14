//! What it proves: logins hold from the first connection to the last although they expire on the
//! way, and one that has expired is waited for.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::Signal;
use testbed::{KafkaOptions, PgVersion};

use crate::e2e::sessions::{Expected, Sessions, create, levels, seller};
use crate::support::{
    Random, Shop, Tailstock, Topics, Workspace, assert_exactly, by_key, eventually, own_cluster,
};

const LIMIT: Duration = Duration::from_secs(90);

/// A change beside those of the sessions.
async fn change(shop: &Shop) {
    shop.execute("INSERT INTO stock VALUES (1, 'w9', 'A', 1) ON CONFLICT DO NOTHING").await;
    shop.execute("DELETE FROM stock WHERE warehouse = 'w9'").await;
}

/// Ends tailstock, catches up, and compares what the sessions have done.
async fn assert_exactly_once(
    mut run: Tailstock,
    workspace: &Workspace,
    topics: &Topics,
    expected: &Expected,
) {
    run.signal(Signal::TERM);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    let mut last = Tailstock::start(workspace, &["run", "--until-current"]);
    assert!(last.wait(LIMIT).await.success(), "{}", last.log());
    let mut found = by_key(topics.events());
    found.retain(|key, _| key.ends_with("/w1"));
    assert_exactly(&found, expected, &last.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_a_scram_login_that_is_asked_for_again_every_two_seconds() {
    let test = "tls_and_a_scram_login";
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("broker.pem");
    let pem = format!("{}{}", signed.signing_key.serialize_pem(), signed.cert.pem());
    std::fs::write(&store, pem).unwrap();
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let options = KafkaOptions::default()
        .listener("SASL_SSL")
        .scram("shop", "sesame")
        .setting("listener.name.secure.ssl.keystore.type", "PEM")
        .setting("listener.name.secure.ssl.keystore.location", store.to_str().unwrap())
        .setting("listener.name.secure.sasl.enabled.mechanisms", "SCRAM-SHA-512")
        .setting("listener.name.secure.scram-sha-512.sasl.jaas.config", module)
        .setting("listener.name.secure.scram-sha-512.connections.max.reauth.ms", "2000");
    let Some(kafka) = own_cluster(options, test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    create(&shop).await;
    let topics = Topics::new(&kafka.bootstrap());
    let main = topics.main_file(
        "[sink.properties]\n\"security.protocol\" = \"sasl_ssl\"\n\
         \"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\"sasl.username\" = \"shop\"\n\
         \"sasl.password\" = { file = \"password\" }\n\"ssl.ca.location\" = \"authority\"\n",
    );
    let main = main.replace(&kafka.bootstrap(), &kafka.secure_bootstrap());
    let workspace = Workspace::new(&main, &seller(&shop));
    std::fs::write(workspace.path("password"), "sesame\n").unwrap();
    std::fs::write(workspace.path("authority"), signed.cert.pem()).unwrap();
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(LIMIT).await.success(), "{}", first.log());
    let run = Tailstock::start(&workspace, &["run"]);
    let mut random = Random::from_environment(test);
    // The sessions are idle between these, and then asked to log in again.
    let expected = Sessions::start(&shop, 500, &mut random).await.join().await;
    let idle = std::future::pending::<()>();
    assert!(tokio::time::timeout(Duration::from_secs(5), idle).await.is_err());
    change(&shop).await;
    eventually("the last change is published", LIMIT, async || {
        topics.events().iter().any(|event| event.key.ends_with("/w9")).then_some(())
    })
    .await;
    assert!(!run.log().contains("sesame") && !run.log().contains("again"), "{}", run.log());
    assert_exactly_once(run, &workspace, &topics, &expected).await;
    assert_eq!(topics.levels(), levels(&shop).await, "folded levels");
}

/// A bearer token that a broker takes which checks no signature.
fn write_token(file: &Path, lives: Duration) {
    let now = jiff::Timestamp::now().as_second();
    let expires = now + i64::try_from(lives.as_secs()).unwrap();
    let claims = format!(r#"{{"sub":"shop","iat":{now},"exp":{expires}}}"#);
    let [head, claims] = [r#"{"alg":"none"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{head}.{claims}.\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bearer_token_is_read_again_before_it_expires_and_waited_for_after_that() {
    let test = "a_bearer_token_is_read_again";
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                  unsecuredLoginStringClaim_sub=\"broker\";";
    let options = KafkaOptions::default()
        .listener("SASL_PLAINTEXT")
        .setting("listener.name.secure.sasl.enabled.mechanisms", "OAUTHBEARER")
        .setting("listener.name.secure.oauthbearer.sasl.jaas.config", module)
        .setting("listener.name.secure.oauthbearer.connections.max.reauth.ms", "3600000");
    let Some(kafka) = own_cluster(options, test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    create(&shop).await;
    let topics = Topics::new(&kafka.bootstrap());
    let open = Workspace::new(&topics.main_file(""), &seller(&shop));
    let main = topics.main_file(
        "oauth_token = { file = \"token\" }\n[sink.properties]\n\
         \"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"OAUTHBEARER\"\n",
    );
    let main = main.replace(&kafka.bootstrap(), &kafka.secure_bootstrap());
    let workspace = Workspace::new(&main, &seller(&shop));
    let token = workspace.path("token");
    write_token(&token, Duration::from_secs(3600));
    let mut refused = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert_eq!(refused.wait(LIMIT).await.code(), Some(4), "{}", refused.log());
    assert!(refused.log().contains("--create --topic"), "{}", refused.log());
    // Whoever may create topics does so.
    let mut first = Tailstock::start(&open, &["run", "--until-current"]);
    assert!(first.wait(LIMIT).await.success(), "{}", first.log());

    write_token(&token, Duration::from_secs(6));
    let mut run = Tailstock::start(&workspace, &["run"]);
    let mut random = Random::from_environment(test);
    let sessions = Sessions::start(&shop, 4000, &mut random).await;
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    for _ in 0..5 {
        tick.tick().await;
        write_token(&token, Duration::from_secs(6));
    }
    let expected = sessions.join().await;
    eventually("it is told that the token has expired", LIMIT, async || {
        change(&shop).await;
        run.assert_runs();
        run.log().contains("has expired").then_some(())
    })
    .await;
    write_token(&token, Duration::from_secs(3600));
    assert_exactly_once(run, &workspace, &topics, &expected).await;
    assert_eq!(topics.levels(), levels(&shop).await, "folded levels");
}
