//! What somebody asks of a source by POST.

use super::*;
use crate::seller::SnapshotRequest;

impl Server {
    /// As the command asks, but for what `changed` replaces.
    async fn post(&self, path: &str, body: &str, changed: &[(&str, &str)]) -> (u16, String) {
        let mut request = format!(
            "POST {path} HTTP/1.0\r\nHost: 127.0.0.1:8642\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        for (what, with) in changed {
            request = request.replace(what, with);
        }
        self.send(&request).await
    }

    /// Answers one request as a seller's loop would, and tells what it was for.
    fn follow(
        &self,
        answer: Result<Vec<String>, String>,
    ) -> tokio::task::JoinHandle<Option<String>> {
        let mut requests = self.outside.desk.attend(&acme());
        tokio::spawn(async move {
            let request: SnapshotRequest = requests.recv().await.unwrap();
            request.answer.send(answer).unwrap();
            request.table
        })
    }
}

fn acme_path() -> String {
    snapshot_path("acme", "main")
}

#[tokio::test]
async fn an_order_reaches_the_source_and_its_answer_whoever_gave_it() {
    let server = Server::start().await;
    server.enter(Lifecycle::Streaming);
    for (body, wanted) in [("", None), (r#"{"table":"public.stock"}"#, Some("public.stock"))] {
        let table = vec!["public.stock".to_owned()];
        let asked = server.follow(Ok(table));
        let (status, answer) = server.post(&acme_path(), body, &[]).await;
        assert_eq!((status, answer.as_str()), (202, r#"{"tables":["public.stock"]}"#));
        assert_eq!(asked.await.unwrap().as_deref(), wanted);
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_met_is_told_why() {
    let server = Server::start().await;
    let told = async |path: &str, body: &str| server.post(path, body, &[]).await;
    let (status, body) = told(&snapshot_path("nobody", "main"), "").await;
    assert!(status == 404 && body.contains("there are: acme/main"), "{status} {body}");
    let (status, body) = told(&acme_path(), r#"{"table":"public.stocks"}"#).await;
    assert!(status == 404 && body.contains("they read: public.stock"), "{status} {body}");
    let (status, body) = told(&acme_path(), r#"{"tables":[]}"#).await;
    assert!(status == 400 && body.contains("schema.table"), "{status} {body}");
    let (status, body) = told(&acme_path(), "").await;
    assert!(status == 503 && body.contains("is not followed by this process"), "{status} {body}");
    drop(server.outside.desk.attend(&acme()));
    let (status, body) = told(&acme_path(), "").await;
    assert!(status == 503 && body.contains("is not followed at the moment"), "{status} {body}");
    let asked = server.follow(Err("public.stock has no key".to_owned()));
    let (status, body) = told(&acme_path(), "").await;
    assert_eq!((status, body.as_str()), (409, r#"{"error":"public.stock has no key"}"#));
    assert_eq!(asked.await.unwrap(), None);
}

#[tokio::test]
async fn an_order_comes_from_this_machine_by_whatever_address_it_has() {
    // Sends nothing: only the way out is looked up.
    let out = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let own = match out.connect("192.0.2.1:9").await {
        Ok(()) => out.local_addr().unwrap().ip(),
        Err(_) => std::net::Ipv4Addr::LOCALHOST.into(),
    };
    let server = Server::start_on(SocketAddr::new(own, 0)).await;
    let (status, body) = server.post(&acme_path(), "", &[]).await;
    assert!(status == 503 && body.contains("is not followed by this process"), "{own}: {body}");
}

#[tokio::test]
async fn a_web_page_on_this_machine_asks_in_vain() {
    let server = Server::start().await;
    let pages = [
        ("application/json", "text/plain"),
        ("application/json", "application/x-www-form-urlencoded"),
        ("Host: 127.0.0.1:8642", "Host: rebound.example"),
    ];
    for page in pages {
        let (status, body) = server.post(&acme_path(), "", &[page]).await;
        assert!(status == 403 && body.contains("wanted"), "{status} {body}");
    }
    for own in ["Host: localhost", "Host: [::1]:8642", "Host: 10.1.2.3:8642"] {
        let changed = [("Host: 127.0.0.1:8642", own)];
        let (status, _) = server.post(&acme_path(), "", &changed).await;
        assert_eq!(status, 503, "{own}");
    }
    assert_eq!(server.get(&acme_path()).await.0, 405);
}
