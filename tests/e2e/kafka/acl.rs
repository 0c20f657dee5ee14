//! Who may do what on a cluster, said as its administrator would.

use testbed::Kafka;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What a rule is about, as the protocol numbers it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    Topic = 2,
    TransactionalId = 5,
}

/// What it says, as the protocol numbers operation and permission.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says {
    AllowAll,
    /// Weighs more than what is allowed.
    DenyWrite,
}

/// Makes a rule for the user `shop`; `name` is a whole name, or `*`.
pub(super) async fn rule(kafka: &Kafka, of: Of, name: &str, says: Says) {
    let text =
        |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    // CreateAcls, version 1, correlation 1, no client id; one rule.
    let mut body = vec![0, 30, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 1];
    let says = match says {
        Says::AllowAll => vec![2, 3],
        Says::DenyWrite => vec![4, 2],
    };
    body.push(of as u8);
    body.extend([text(name), vec![3], text("User:shop"), text("*"), says].concat());
    let mut stream = tokio::net::TcpStream::connect(kafka.bootstrap()).await.unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &body].concat()).await.unwrap();
    // Length, correlation, throttle time, number of rules; how the first of them ended.
    let mut answer = [0; 18];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[12..], [0, 0, 0, 1, 0, 0]);
}
