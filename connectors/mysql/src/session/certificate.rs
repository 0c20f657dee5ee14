use connector_api::{Error, Result};
use connector_transport::{Host, TlsSettings, Wire, not_offered};
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::channel::Channel;
use super::{begin_tls, greet, login};
use crate::config::{MysqlConfig, WORDS};

/// A name that the server's certificate is for, once its authority is known to be right.
///
/// mysql_async means to check the authority alone where it is told to, but does not recognise the
/// error of the name any more; it has to be given a name that fits.
pub(super) async fn name_of(
    host: &Host,
    config: &MysqlConfig,
    tls: &TlsSettings,
) -> Result<String> {
    let wire = Wire::connect(host)
        .await
        .map_err(|error| Error::transient(format!("{host} cannot be reached: {error}")))?;
    let mut channel = Channel::new(wire, host.clone());
    let greeting = greet(&mut channel, config).await?;
    let capabilities = (login::CAPABILITIES | login::TLS) & greeting.capabilities;
    if !capabilities.contains(login::TLS) {
        return Err(not_offered(host, &WORDS));
    }
    begin_tls(&mut channel, tls, capabilities).await?;
    let name = channel.wire.server_certificate().and_then(first_name);
    name.ok_or_else(|| {
        Error::operator(
            format!("TLS with {host}: the server's certificate has no name"),
            "have it replaced by one with its names in subjectAltName, or write ssl-mode=required \
             where that is enough",
        )
    })
}

fn first_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let (_, names) = parsed.tbs_certificate.get::<SubjectAltName>().ok()??;
    names.0.iter().find_map(|name| match name {
        // Any machine below it will do.
        GeneralName::DnsName(name) => Some(name.as_str().replacen('*', "any", 1)),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let short = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            let long = || <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
            Some(short.or_else(|_| long()).ok()?.to_string())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_of_a_certificate_is_one_it_is_for() {
        let cases = [("db.example", "db.example"), ("*.shop.example", "any.shop.example")];
        for (given, wanted) in cases.into_iter().chain([("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
        {
            let made = rcgen::generate_simple_self_signed(vec![given.to_owned()]).unwrap();
            assert_eq!(first_name(made.cert.der()).as_deref(), Some(wanted));
        }
        assert_eq!(first_name(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
