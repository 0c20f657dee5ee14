use connector_api::{Error, Result};
use mysql_common::crypto::rsa::{GetRandom, Pkcs1OaepPadding, PublicKey};
use num_bigint::BigUint;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// Bytes of a modulus below which nobody makes a key, and above which nobody sends one.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 128..=2048;
/// Bytes that the padding takes (RFC 8017, section 7.1.1, with SHA-1).
const PADDING_BYTES: usize = 42;

/// The password for a server with this public key (PEM), hidden from everybody else. The library
/// has this in one call, which panics on a key that is none.
pub(super) fn encrypt(password: &str, nonce: &[u8], pem: &[u8]) -> Result<Vec<u8>> {
    let (key, size) = read(pem)
        .ok_or_else(|| Error::transient("the server sent a public key that cannot be read"))?;
    let mut block = password.as_bytes().to_vec();
    block.push(0);
    if block.len() + PADDING_BYTES > size {
        return Err(Error::operator(
            "the password is too long for the server's public key",
            "connect with ssl-mode=verify-identity, or use a shorter password",
        ));
    }
    for (byte, mask) in block.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(key.encrypt_block(block, Pkcs1OaepPadding::new(GetRandom)))
}

/// The key, and the bytes of its modulus.
fn read(pem: &[u8]) -> Option<(PublicKey, usize)> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    let info = SubjectPublicKeyInfoRef::from_der(&der).ok()?;
    let mut reader = SliceReader::new(info.subject_public_key.as_bytes()?).ok()?;
    let (modulus, exponent): (UintRef<'_>, UintRef<'_>) =
        reader.sequence(|pair| Ok((pair.decode()?, pair.decode()?))).ok()?;
    let modulus = modulus.as_bytes();
    if !MODULUS_BYTES.contains(&modulus.len()) || exponent.as_bytes().len() > 8 {
        return None;
    }
    let number = |bytes| BigUint::from_bytes_be(bytes);
    Some((PublicKey::new(number(modulus), number(exponent.as_bytes())), modulus.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxE2SbfMeeA4m6r3T+oZP
-----END PUBLIC KEY-----
";

    #[test]
    fn a_key_that_is_none_is_an_error() {
        for pem in ["", PEM, "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "secret"] {
            let told = encrypt("password", &[1; 20], pem.as_bytes()).unwrap_err();
            assert!(told.to_string().contains("public key that cannot be read"), "{pem}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = encrypt("password", &[1; 20], &bytes);
        }
    }
}
