use std::io;
use std::path::Path;
use std::sync::Arc;

use connector_api::{Error, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::verify::verifier;
use crate::config::{Host, SslMode, Tls};

/// The rustls configuration for a seller's TLS settings.
pub(crate) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (roots, given) = match tls.mode {
        SslMode::Disable | SslMode::Require => (RootCertStore::empty(), Vec::new()),
        SslMode::VerifyCa | SslMode::VerifyFull => roots(tls)?,
    };
    let verifier = verifier(tls.mode, roots, given, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug("TLS versions").because(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, "sslcert")?;
            let key_der = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable("sslkey", key, &error))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| {
                Error::operator(
                    format!("sslcert and sslkey cannot be used together: {error}"),
                    "give the key that belongs to the certificate",
                )
            })?
        }
    };
    // Required by servers from 17 on when TLS begins without a question; harmless before.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Arc::new(config))
}

/// The authorities that count, and what is in `sslrootcert` as it is.
fn roots(tls: &Tls) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let mut roots = RootCertStore::empty();
    let given = match &tls.root_cert {
        Some(path) => {
            let given = certificates(path, "sslrootcert")?;
            for certificate in &given {
                let added = roots.add(certificate.clone());
                added.map_err(|error| unreadable("sslrootcert", path, &error))?;
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
            "install the system's ca-certificates, or set sslrootcert in the URL",
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
pub(crate) fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

pub(crate) fn not_offered(host: &Host) -> Error {
    Error::operator(
        format!("{host} does not offer TLS"),
        "turn it on there (ssl = on), or add ?sslmode=disable to the URL if you trust the network",
    )
}

/// A failed handshake, for the person who has to mend it.
pub(crate) fn handshake_error(error: &io::Error, host: &Host) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let operator = |why: &str, fix: &str| Error::operator(format!("TLS with {host}: {why}"), fix);
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            // An authority of the same name with another key looks like a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => operator(
                "the server's certificate was signed by an authority that is not known",
                "set sslrootcert to the authority's PEM file",
            ),
            CertificateError::NotValidForName => wrong_name(host, ""),
            CertificateError::NotValidForNameContext { presented, .. } => {
                // The library writes them as DnsName("shop.example").
                let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
                let names: Vec<String> = presented.iter().map(plain).collect();
                wrong_name(host, &format!(": {}", names.join(", ")))
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => operator(
                "the server's certificate has expired",
                "have the server's certificate renewed",
            ),
            other => operator(
                &format!("the server's certificate is not accepted: {other}"),
                "have it replaced by one of version 3 with its names in subjectAltName",
            ),
        },
        Some(rustls::Error::AlertReceived(alert)) => operator(
            &format!("the server refused: {alert:?}"),
            "check sslcert and sslkey: the server may ask for a client certificate it can trust",
        ),
        Some(rustls::Error::PeerIncompatible(why)) => operator(
            &format!("nothing both sides can speak: {why:?}"),
            "let the server offer TLS 1.2 or later (ssl_min_protocol_version, ssl_ciphers)",
        ),
        _ => Error::transient(format!("TLS with {host}: {error}")),
    }
}

fn wrong_name(host: &Host, names: &str) -> Error {
    Error::operator(
        format!("TLS with {host}: the server's certificate is for another name{names}"),
        "use a name of its subjectAltName in the URL, or sslmode=verify-ca where that is enough",
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

/// `tls-server-end-point` of RFC 5929: the hash of the server's certificate by the hash of its own
/// signature, SHA-256 instead of MD5 and SHA-1. `None` where the RFC defines none.
pub(crate) fn server_end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    use ring::digest::{SHA256, SHA384, SHA512, digest};
    use x509_cert::der::Decode as _;
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let algorithm = match parsed.signature_algorithm.oid.to_string().as_str() {
        // md5, sha1 and sha256 with RSA, ecdsa with sha1 and sha256, dsa with sha1 and sha256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2"
        | "1.2.840.10040.4.3"
        | "2.16.840.1.101.3.4.3.2" => &SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => return None,
    };
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

#[cfg(test)]
mod tests;
