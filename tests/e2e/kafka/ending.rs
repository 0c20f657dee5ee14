//! What it proves: whoever asks for the end has it soon, whatever the brokers do, and nothing is
//! lost by that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testbed::{KafkaOptions, PgVersion};

use crate::support::{Shop, Tailstock, Topics, Workspace, eventually, own_cluster};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const LIMIT: Duration = Duration::from_secs(60);
/// After which it is killed by those who wait ten seconds, with time for a machine that is busy.
const SOON: Duration = Duration::from_secs(14);

/// Of two signals the second does not wait for what the first does, which takes twice as long.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Waits until it says something it had not said when its log had this many bytes.
async fn says(run: &Tailstock, behind: usize, words: &str) {
    let said = async || run.log()[behind..].contains(words).then_some(());
    if tokio::time::timeout(LIMIT, eventually(words, LIMIT * 2, said)).await.is_err() {
        panic!("it does not say {words:?}: {}", run.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_ends_although_the_cluster_answers_nobody() {
    let test = "ends_although_the_cluster_answers_nobody";
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let topics = Topics::new(&kafka.bootstrap());
    let workspace = Workspace::new(&topics.main_file(""), &shop.seller(SELLER));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(LIMIT).await.success(), "{}", first.log());
    for (nth, signals) in [(1, &[Signal::TERM][..]), (2, &[Signal::TERM, Signal::INT])] {
        let behind = first.log().len();
        let mut run = Tailstock::start(&workspace, &["run"]);
        shop.execute(&format!("INSERT INTO stock VALUES ({nth}, {nth})")).await;
        let key = format!("acme/main/{nth}/_");
        let is_there = async || topics.levels().contains_key(&key).then_some(());
        eventually("a level", LIMIT, is_there).await;
        kafka.pause(0);
        shop.execute(&format!("UPDATE stock SET qty = 10 + {nth} WHERE item = {nth}")).await;
        says(&run, behind, "the cluster acknowledges nothing").await;
        let begun = Instant::now();
        signals.iter().for_each(|signal| run.signal(*signal));
        let status = run.wait(LIMIT).await;
        let (took, log) = (begun.elapsed(), run.log());
        match signals.len() {
            1 => assert!(status.success() && took < SOON, "{took:?}: {log}"),
            _ => assert!(took < AT_ONCE, "{took:?}: {log}"),
        }
        if nth == 1 {
            kafka.resume(0);
            let mut next = Tailstock::start(&workspace, &["run", "--until-current"]);
            assert!(next.wait(LIMIT).await.success(), "{}", next.log());
        }
    }
    // Neither does one that has not reached it yet wait for it.
    let behind = first.log().len();
    let mut run = Tailstock::start(&workspace, &["run"]);
    says(&run, behind, "the sink cannot be used yet").await;
    let begun = Instant::now();
    run.signal(Signal::TERM);
    let status = run.wait(LIMIT).await;
    assert!(status.success() && begun.elapsed() < SOON, "{:?}: {}", begun.elapsed(), run.log());
    kafka.resume(0);
    let mut last = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(last.wait(LIMIT).await.success(), "{}", last.log());
    let levels = [1, 2].map(|n: u32| (format!("acme/main/{n}/_"), Some((10 + n).to_string())));
    assert_eq!(topics.levels(), BTreeMap::from(levels));
}
