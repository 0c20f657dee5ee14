use super::*;

/// No test waits that long unless it fails.
const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);
const ASKS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";

async fn answers(server: &Server) -> bool {
    let answer = tokio::time::timeout(LIMIT, server.get("/healthz")).await;
    answer.is_ok_and(|(status, _)| status == 200)
}

#[tokio::test]
async fn whoever_connects_and_says_nothing_keeps_nobody_out_for_long() {
    let server = Server::with_seats(2, SHORT).await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert!(answers(&server).await);
    for mut stream in silent {
        let left = tokio::time::timeout(LIMIT, stream.read_u8()).await.unwrap();
        assert_eq!(left.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn whoever_asks_and_never_listens_is_left() {
    let server = Server::with_seats(1, SHORT).await;
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    let asks = async { while deaf.write_all(ASKS).await.is_ok() {} };
    tokio::time::timeout(LIMIT, asks).await.unwrap();
    assert!(answers(&server).await);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_another_goes() {
    let server = Server::with_seats(1, LIMIT).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(ASKS).await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'H');
    let second = server.get("/healthz");
    tokio::pin!(second);
    assert!(tokio::time::timeout(SHORT, &mut second).await.is_err());
    drop(first);
    let answer = tokio::time::timeout(LIMIT, second).await;
    assert_eq!(answer.unwrap(), (200, "alive\n".to_owned()));
}
