//! A certificate authority and a server's certificate.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::{Tls, Validity};

/// PEM texts.
pub(super) struct Certificates {
    pub(super) authority: String,
    pub(super) server: String,
    pub(super) server_key: String,
}

pub(super) fn issue(tls: &Tls) -> Certificates {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "Test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");

    let mut names = vec![tls.host.clone()];
    if tls.host == "localhost" {
        names.push("127.0.0.1".into());
    }
    let mut server = CertificateParams::new(names).expect("names");
    server
        .distinguished_name
        .push(DnType::CommonName, &tls.host);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    if tls.validity == Validity::Past {
        server.not_before = date_time_ymd(2001, 1, 1);
        server.not_after = date_time_ymd(2002, 1, 1);
    }
    let server_key = key();
    let server = server
        .signed_by(&server_key, &authority)
        .expect("a certificate");

    Certificates {
        authority: authority.pem(),
        server: server.pem(),
        server_key: server_key.serialize_pem(),
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
