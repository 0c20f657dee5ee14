//! An authority and what it signs.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SignatureAlgorithm,
};
use testbed::TlsFiles;

/// An authority with a folder for its PEM files.
pub struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        Self::with_key(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// One that signs with a key of this kind.
    pub fn with_key(kind: &'static SignatureAlgorithm) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate_for(kind).unwrap()).unwrap();
        let authority = Self { folder, issuer };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certificate and key for these names.
    pub fn sign(&self, file: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        self.sign_with(file, names, |_| {})
    }

    pub fn sign_with(
        &self,
        file: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names[0].clone());
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        self.pair(file, &signed.pem(), &key)
    }

    /// Certificate and key that the authority knows nothing of.
    pub fn self_signed(&self, file: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        // As `openssl req -new -x509` makes them.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let signed = params.self_signed(&key).unwrap();
        self.pair(file, &signed.pem(), &key)
    }

    /// What a server of these files needs; clients are trusted that this authority signed.
    pub fn server(&self, (certificate, key): (PathBuf, PathBuf)) -> TlsFiles {
        TlsFiles { certificate, key, client_ca: Some(self.root()) }
    }

    fn pair(&self, file: &str, certificate: &str, key: &KeyPair) -> (PathBuf, PathBuf) {
        let certificate = self.write(&format!("{file}.pem"), certificate);
        (certificate, self.write(&format!("{file}.key"), &key.serialize_pem()))
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    }
}
