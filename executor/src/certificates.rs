//! The authorities against which a server's certificate is checked.

use rustls::pki_types::{CertificateDer, pem::PemObject};

/// Those of the file that this option of the URL names, or else the system's.
///
/// # Errors
/// What is wrong with the URL, in words that go on after "the database URL".
pub(crate) fn authorities(
    option: &str,
    file: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(file) = file.filter(|file| *file != "system") else {
        return Ok(rustls_native_certs::load_native_certs().certs);
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| format!("has {option}={file}, which can't be read: {e}"))?;
    match certificates.is_empty() {
        true => Err(format!("has {option}={file}, which holds no certificate")),
        false => Ok(certificates),
    }
}
