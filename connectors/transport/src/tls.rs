use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connector_api::{Error, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::host::Host;
use crate::verify::verifier;

/// How far a server is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Not at all: the connection is encrypted, with whoever answers.
    Nobody,
    /// A known authority signed its certificate.
    Authority,
    /// The same, and the certificate names the host.
    AuthorityAndName,
}

/// What a connection is protected with.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// How far the server is checked.
    pub check: Check,
    /// PEM file of authorities; the system's when not given.
    pub root_cert: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// What all of this is called where it was written.
    pub words: &'static Words,
}

/// What a family of servers calls the things that a person has to mend.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// The protocol that both ends have to name in the handshake.
    pub protocol: Option<&'static str>,
    /// The parameter with the file of authorities.
    pub root_cert: &'static str,
    /// The statements that tell where a server keeps its certificates.
    pub kept_where: &'static str,
    /// The parameter with the client's certificate.
    pub certificate: &'static str,
    /// The parameter with the client's key.
    pub key: &'static str,
    /// The parameter that gives up checking the name.
    pub without_name: &'static str,
    /// What to do about a server that does not offer TLS.
    pub not_offered: &'static str,
    /// The server's settings for versions and ciphers.
    pub versions: &'static str,
}

/// The rustls configuration for a seller's TLS settings.
///
/// # Errors
/// A file that cannot be read or does not hold what it should.
pub fn client_config(tls: &TlsSettings) -> Result<Arc<ClientConfig>> {
    let words = tls.words;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (roots, given) = match tls.check {
        Check::Nobody => (RootCertStore::empty(), Vec::new()),
        Check::Authority | Check::AuthorityAndName => roots(tls)?,
    };
    let verifier = verifier(tls.check, roots, given, &provider, words)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug("TLS versions").because(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, words.certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable(words.key, key, &error))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| {
                Error::operator(
                    format!(
                        "{} and {} cannot be used together: {error}",
                        words.certificate, words.key
                    ),
                    "give the key that belongs to the certificate",
                )
            })?
        }
    };
    config.alpn_protocols = words.protocol.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// The authorities that count, and what is in their file as it is.
fn roots(tls: &TlsSettings) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let mut roots = RootCertStore::empty();
    let called = tls.words.root_cert;
    let given = match &tls.root_cert {
        Some(path) => {
            let given = certificates(path, called)?;
            for certificate in &given {
                let added = roots.add(certificate.clone());
                added.map_err(|error| unreadable(called, path, &error))?;
            }
            given
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
            Vec::new()
        }
    };
    if roots.is_empty() {
        return Err(Error::operator(
            "there is no authority to check the server's certificate against",
            format!("install the system's ca-certificates, or set {called} in the URL"),
        ));
    }
    Ok((roots, given))
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(what, path, &error))?;
    if certificates.is_empty() {
        let found = format!("{what}: {} holds no certificate", path.display());
        return Err(Error::operator(found, "give a PEM file with BEGIN CERTIFICATE"));
    }
    Ok(certificates)
}

fn unreadable(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::operator(
        format!("{what}: {} cannot be read: {error}", path.display()),
        "give the path of a PEM file that tailstock's user may read",
    )
}

/// Whether an error of a connection is about TLS rather than about the way to the server.
pub fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// What is said of a server that has no TLS.
pub fn not_offered(host: &Host, words: &Words) -> Error {
    Error::operator(format!("{host} does not offer TLS"), words.not_offered)
}

/// A failed handshake, for the person who has to mend it.
pub fn handshake_error(error: &io::Error, host: &Host, words: &Words) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (why, fix) = match inner {
        Some(rustls::Error::InvalidCertificate(why)) => bad_certificate(why, words),
        Some(rustls::Error::AlertReceived(alert)) => (
            format!("the server refused: {alert:?}"),
            format!(
                "check {} and {}: the server may ask for a client certificate it can trust",
                words.certificate, words.key
            ),
        ),
        Some(rustls::Error::PeerIncompatible(why)) => (
            format!("nothing both sides can speak: {why:?}"),
            format!("let the server offer TLS 1.2 or later ({})", words.versions),
        ),
        _ => return Error::transient(format!("TLS with {host}: {error}")),
    };
    Error::operator(format!("TLS with {host}: {why}"), fix)
}

/// What is wrong with the server's certificate, and how to mend it.
fn bad_certificate(why: &CertificateError, words: &Words) -> (String, String) {
    match why {
        // An authority of the same name with another key looks like a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the server's certificate was signed by an authority that is not known".to_owned(),
            // Whoever signed its own certificate is its own authority.
            format!(
                "set {} in the URL to a PEM file with the authority's certificate, or with the \
                 server's own where it signed that itself; a copy of what lies on the server will \
                 do ({})",
                words.root_cert, words.kept_where
            ),
        ),
        CertificateError::NotValidForName => wrong_name("", words),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // The library writes them as DnsName("shop.example").
            let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
            let names: Vec<String> = presented.iter().map(plain).collect();
            wrong_name(&format!(": {}", names.join(", ")), words)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "the server's certificate has expired".to_owned(),
            "have the server's certificate renewed".to_owned(),
        ),
        other => (
            format!("the server's certificate is not accepted: {other}"),
            "have it replaced by one of version 3 with its names in subjectAltName".to_owned(),
        ),
    }
}

fn wrong_name(names: &str, words: &Words) -> (String, String) {
    (
        format!("the server's certificate is for another name{names}"),
        format!(
            "use a name of its subjectAltName in the URL, or {} where that is enough",
            words.without_name
        ),
    )
}

/// The name a certificate is checked against; addresses count as names.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        Error::operator(
            format!("{host} cannot be a name in a certificate"),
            "use a host name or an address in the URL",
        )
    })
}

#[cfg(test)]
pub(crate) const WORDS: Words = Words {
    protocol: None,
    root_cert: "the authorities",
    kept_where: "where they are",
    certificate: "the certificate",
    key: "the key",
    without_name: "no name",
    not_offered: "offer it",
    versions: "the versions",
};

#[cfg(test)]
mod tests;
