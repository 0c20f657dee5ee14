#![allow(clippy::unwrap_used)]

use ring::digest::{SHA256, SHA384, digest};

use super::*;

#[test]
fn a_login_binds_to_the_hash_that_signed_the_certificate() {
    let kinds = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Some(&SHA256)),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Some(&SHA384)),
        // Ed25519 signs without a hash, and RFC 5929 names none for it.
        (&rcgen::PKCS_ED25519, None),
    ];
    for (kind, algorithm) in kinds {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let params = rcgen::CertificateParams::new(vec!["db".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let wanted = algorithm.map(|hash| digest(hash, certificate.der()).as_ref().to_vec());
        assert_eq!(server_end_point(certificate.der()), wanted);
    }
    assert_eq!(server_end_point(&CertificateDer::from(vec![1, 2, 3])), None);
}
