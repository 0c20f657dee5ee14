use bytes::BytesMut;
use connector_api::{Error, Result};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::Session;
use super::binding::server_end_point;

/// Proves who we are, in whichever of the supported ways the server asks.
pub(super) async fn authenticate(session: &mut Session) -> Result<()> {
    loop {
        let message = session.message().await?;
        match message {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => {
                if !session.wire.is_private() {
                    return Err(Error::operator(
                        "the server asks for the password in the clear",
                        "use sslmode=verify-full, or scram-sha-256 in the server's pg_hba.conf",
                    ));
                }
                let password = password(session)?;
                answer(session, |out| frontend::password_message(password.as_bytes(), out)).await?;
            }
            Message::AuthenticationMd5Password(body) => {
                let password = password(session)?;
                let user = session.config.user.as_bytes();
                let hash = md5_hash(user, password.as_bytes(), body.salt());
                answer(session, |out| frontend::password_message(hash.as_bytes(), out)).await?;
            }
            Message::AuthenticationSasl(body) => {
                let mechanisms = body.mechanisms().map(|name| Ok(name.to_owned()));
                let mechanisms: Vec<String> =
                    mechanisms.collect().map_err(|error| session.broken(&error))?;
                scram(session, &mechanisms).await?;
            }
            Message::ErrorResponse(body) => return Err(session.not_let_in(&body)),
            Message::NoticeResponse(_) => {}
            _ => {
                return Err(Error::operator(
                    "the server asks for a way to log in that tailstock does not have",
                    "use scram-sha-256, md5 or cert in the server's pg_hba.conf",
                ));
            }
        }
    }
}

/// SCRAM-SHA-256, bound to the TLS channel where there is one (RFC 5802, RFC 5929).
async fn scram(session: &mut Session, mechanisms: &[String]) -> Result<()> {
    const PLAIN: &str = "SCRAM-SHA-256";
    const PLUS: &str = "SCRAM-SHA-256-PLUS";
    let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
    let (mechanism, binding) = match session.wire.server_certificate().and_then(server_end_point) {
        Some(hash) if offers(PLUS) => (PLUS, ChannelBinding::tls_server_end_point(hash)),
        Some(_) if offers(PLAIN) => (PLAIN, ChannelBinding::unrequested()),
        None if offers(PLAIN) => (PLAIN, ChannelBinding::unsupported()),
        _ => {
            return Err(Error::operator(
                format!("the server offers only {}", mechanisms.join(", ")),
                "use scram-sha-256 in the server's pg_hba.conf",
            ));
        }
    };
    let password = password(session)?;
    let mut scram = ScramSha256::new(password.as_bytes(), binding);
    answer(session, |out| frontend::sasl_initial_response(mechanism, scram.message(), out)).await?;
    match session.message().await? {
        Message::AuthenticationSaslContinue(body) => {
            scram.update(body.data()).map_err(not_the_server)?;
        }
        other => return Err(interrupted(session, other)),
    }
    answer(session, |out| frontend::sasl_response(scram.message(), out)).await?;
    match session.message().await? {
        Message::AuthenticationSaslFinal(body) => scram.finish(body.data()).map_err(not_the_server),
        other => Err(interrupted(session, other)),
    }
}

fn interrupted(session: &Session, message: Message) -> Error {
    match message {
        Message::ErrorResponse(body) => session.not_let_in(&body),
        _ => Error::transient("the server broke off the login"),
    }
}

/// The server did not prove that it knows the password.
fn not_the_server(error: std::io::Error) -> Error {
    Error::operator(
        format!("the server failed to prove who it is: {error}"),
        "check that the URL names the right server, and nobody stands between",
    )
}

fn password(session: &Session) -> Result<String> {
    session.config.password.clone().ok_or_else(|| {
        Error::operator(
            format!(
                "the server asks {} for a password, and none is configured",
                session.config.user
            ),
            "add password = { file = \"...\" } or { env = \"...\" } to [source]",
        )
    })
}

async fn answer(
    session: &mut Session,
    write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
) -> Result<()> {
    let mut message = BytesMut::new();
    write(&mut message)
        .map_err(|error| Error::definite("the login cannot be written").because(error))?;
    session.send(&message).await
}
