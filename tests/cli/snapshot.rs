//! `tailstock snapshot`, with a process and without one.

use connector_api::{Capture, Lineage, Position, ResumePoint};
use tailstock::sink::sqlite::{Sqlite, SqliteOptions};
use tailstock::sink::{Commit, Opened, Part, Shard, Sink};
use tailstock::state::{Checkpoint, MappingRevision};
use tailstock::stock::{SellerId, SourceName};

use super::*;

const SQLITE: &str = "\
name = 'test'
sellers = 'acme.toml'
[sink]
kind = 'sqlite'
path = 'stock.db'
[http]
listen = ''
";

/// A folder with a store, empty so far.
fn with_store() -> tempfile::TempDir {
    let folder = workspace("");
    std::fs::write(folder.path().join("tailstock.toml"), SQLITE).unwrap();
    folder
}

fn sink(folder: &Path) -> Sqlite {
    Sqlite::new(SqliteOptions { path: folder.join("stock.db"), retention_days: None })
}

/// Waits until the thread that wrote the file has ended.
fn await_release(folder: &Path) {
    let lock = std::fs::File::open(folder.join("stock.db.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
}

/// Stores a checkpoint as a process would have left it.
async fn store_checkpoint(folder: &Path) {
    let point =
        ResumePoint::new(Lineage::new("7/1"), Position::new("0/16B3748"), Capture::default());
    let mapping = MappingRevision { number: 1, hash: "0".into() };
    let checkpoint = Some(Checkpoint::first("acme", "main", point, mapping).encode());
    let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
    let parts = vec![Part { checkpoint, ..Part::empty(seller, source) }];
    let Opened { mut writer, .. } = sink(folder).open(Shard(0)).await.unwrap();
    writer.commit(std::sync::Arc::new(Commit { parts })).await.unwrap();
    drop(writer);
    await_release(folder);
}

/// The exit code, and all that was said.
fn told(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = tailstock(folder, arguments);
    (output.status.code(), text(&output.stdout).to_owned() + text(&output.stderr))
}

#[test]
fn a_seller_or_table_that_is_in_no_file_is_bad_usage() {
    let folder = with_store();
    let (code, said) = told(folder.path(), &["snapshot", "acm"]);
    assert!(code == Some(2) && said.contains("fix: name one of acme"), "{said}");
    let (code, said) = told(folder.path(), &["snapshot", "acme", "--source", "archive"]);
    assert!(code == Some(2) && said.contains("say which: --source with one of main"), "{said}");
    let (code, said) = told(folder.path(), &["snapshot", "acme", "public.stocks"]);
    assert!(code == Some(2) && said.contains("fix: name one of public.stock"), "{said}");
    let second = SELLER.replace("[source]", "[source]\nname = 'archive'");
    std::fs::write(folder.path().join("archive.toml"), second).unwrap();
    let main = SQLITE.replace("acme.toml", "a*.toml");
    std::fs::write(folder.path().join("tailstock.toml"), main).unwrap();
    let (code, said) = told(folder.path(), &["snapshot", "acme"]);
    assert!(
        code == Some(2) && said.contains("fix: say which: --source with one of main, archive"),
        "{said}"
    );
}

#[tokio::test]
async fn where_no_process_runs_the_next_one_is_told_by_the_store() {
    let folder = with_store();
    let (code, said) = told(folder.path(), &["snapshot", "acme"]);
    assert!(code == Some(1) && said.contains("nothing is stored of acme/main yet"), "{said}");
    assert!(!folder.path().join("stock.db").exists());
    store_checkpoint(folder.path()).await;
    let (code, said) = told(folder.path(), &["snapshot", "acme", "public.stock"]);
    let wanted = "acme/main: will be read as a whole at the next start; no process runs: \
                  public.stock\n";
    assert_eq!((code, said.as_str()), (Some(0), wanted));
    let (_, status) = told(folder.path(), &["status"]);
    assert!(status.contains("not to be trusted: public.stock (asked for)"), "{status}");
    let (code, said) = told(folder.path(), &["snapshot", "acme", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["state"]), (Some(0), &"remembered".into()));
}

#[tokio::test]
async fn a_store_that_a_process_works_with_is_left_to_it() {
    let folder = with_store();
    store_checkpoint(folder.path()).await;
    let _held = sink(folder.path()).open(Shard(0)).await.unwrap();
    let (code, said) = told(folder.path(), &["snapshot", "acme"]);
    assert_eq!(code, Some(3), "{said}");
    let me = format!("in use by tailstock, process {} on ", std::process::id());
    assert!(said.contains(&me) && said.contains("fix: end the other one"), "{said}");
}

/// A process that answers an order, and then says as often as given that the table is in doubt.
fn process(listener: TcpListener, looks: usize) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for nth in 0..=looks {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            let request = text(&request[..length]);
            let dirty = if nth < looks { r#"{"public.stock":"asked for"}"# } else { "{}" };
            let snapshot = r#"{"table":"public.stock","phase":"reading","rows":7}"#;
            let (begins, body) = match nth {
                0 => (
                    "POST /v1/sellers/acme/sources/main/snapshot ",
                    r#"{"tables":["public.stock"]}"#.to_owned(),
                ),
                _ => (
                    "GET /v1/sellers ",
                    format!(
                        r#"[{{"seller":"acme","source":"main","state":"streaming","rows":1,
                        "position":"0/1","events":1,"dead_letters":0,"restarts":0,
                        "snapshot":{snapshot},
                        "dirty_tables":{dirty}}}]"#
                    ),
                ),
            };
            assert!(request.starts_with(begins), "{request}");
            if nth == 0 {
                assert!(request.ends_with(r#"{"table":"public.stock"}"#), "{request}");
            }
            write!(stream, "HTTP/1.0 202 Accepted\r\n\r\n{body}").unwrap();
        }
    })
}

#[test]
fn the_running_process_reads_the_table_and_the_command_waits_for_it() {
    for (looks, options, wanted) in [
        (3, &[][..], "acme/main: read as a whole: public.stock\n"),
        (0, &["--no-wait"][..], "acme/main: will be read as a whole: public.stock\n"),
        (
            1,
            &["--json"][..],
            "{\"seller\":\"acme\",\"source\":\"main\",\"state\":\"completed\",\
             \"tables\":[\"public.stock\"]}\n",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = workspace(&listener.local_addr().unwrap().to_string());
        let process = process(listener, looks);
        let mut arguments = vec!["snapshot", "acme", "public.stock"];
        arguments.extend(options);
        let (code, said) = told(folder.path(), &arguments);
        assert_eq!((code, said.as_str()), (Some(0), wanted));
        process.join().unwrap();
    }
}

/// Whoever has the address is not asked for long: it follows none of these sellers.
#[tokio::test]
async fn where_another_installation_has_the_address_the_store_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = with_store();
    let listen = format!("listen = '{}'", listener.local_addr().unwrap());
    let main = SQLITE.replace("listen = ''", &listen);
    std::fs::write(folder.path().join("tailstock.toml"), main).unwrap();
    store_checkpoint(folder.path()).await;
    let other = std::thread::spawn(move || {
        for answer in [
            "404 Not Found\r\n\r\n{\"error\":\"there is no acme/main; there are: other/main\"}",
            "200 OK\r\n\r\n[{\"seller\":\"other\",\"source\":\"main\",\"state\":\"streaming\",\
             \"rows\":1,\"events\":1,\"dead_letters\":0,\"restarts\":0,\"dirty_tables\":{}}]",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            write!(stream, "HTTP/1.0 {answer}").unwrap();
        }
    });
    let (code, said) = told(folder.path(), &["snapshot", "acme"]);
    assert!(code == Some(0) && said.contains("at the next start; no process runs"), "{said}");
    other.join().unwrap();
}

#[test]
fn what_the_process_refuses_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = workspace(&listener.local_addr().unwrap().to_string());
    let process = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        let body = r#"{"error":"acme/main is halted"}"#;
        write!(stream, "HTTP/1.0 409 Conflict\r\n\r\n{body}").unwrap();
    });
    let (code, said) = told(folder.path(), &["snapshot", "acme"]);
    process.join().unwrap();
    assert_eq!((code, said.as_str()), (Some(1), "error: acme/main is halted\n"));
}
