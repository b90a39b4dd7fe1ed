//! Connecting: members, users and certificates.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Certificate, ConnectOptions, GetOptions, Identity, TlsOptions};

use super::Etcd;
use super::members::Members;
use crate::error::StoreError;
use crate::place::{EtcdPlace, EtcdTls, Password};

/// A connection that is silent for so long is asked whether it is still there: etcd takes it ill
/// to be asked more often than every 5 seconds.
const PING_AFTER: Duration = Duration::from_secs(6);
/// And given up when it does not answer for so long.
const PONG_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn connect(place: &EtcdPlace, patience: Duration) -> Result<Etcd, StoreError> {
    let options = options(place, patience).await?;
    let scheme = if place.tls.is_some() { "https" } else { "http" };
    let endpoints = place.endpoints.iter().map(|endpoint| format!("{scheme}://{endpoint}")).collect();
    let members = Arc::new(Members::new(endpoints, options));
    let etcd = Etcd { members, place: place.to_string(), prefix: place.prefix.clone(), patience };
    // Whether there is an etcd, with a leader, that lets us read.
    let reading = etcd.read(etcd.prefix.clone(), GetOptions::new().with_prefix().with_count_only());
    reading.await.map_err(|trouble| trouble.explain(&etcd.place, ""))?;
    Ok(etcd)
}

async fn options(place: &EtcdPlace, patience: Duration) -> Result<ConnectOptions, StoreError> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(patience / 4)
        .with_keep_alive(PING_AFTER, PONG_WITHIN)
        .with_keep_alive_while_idle(false)
        // A member that is cut off from the others must say so, and not answer late or never.
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    let shown = place.to_string();
    if let (Some(user), Some(password)) = (&place.user, &place.password) {
        let password = match password {
            Password::Given(password) => password.clone(),
            Password::File(path) => {
                let text = String::from_utf8(read(&shown, "password_file", path).await?);
                let text = text.map_err(|_| unreadable(&shown, "password_file", path, "it is no text"))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        options = options.with_user(user, password);
    }
    if let Some(tls) = &place.tls {
        options = options.with_tls(tls_options(&shown, tls).await?);
    }
    Ok(options)
}

async fn tls_options(place: &str, tls: &EtcdTls) -> Result<TlsOptions, StoreError> {
    let mut options = TlsOptions::new();
    options = match &tls.ca {
        Some(path) => options.ca_certificate(Certificate::from_pem(read(place, "ca", path).await?)),
        None => options.with_native_roots(),
    };
    if let Some((cert, key)) = &tls.identity {
        let identity = Identity::from_pem(read(place, "cert", cert).await?, read(place, "key", key).await?);
        options = options.identity(identity);
    }
    Ok(options)
}

async fn read(place: &str, option: &str, path: &Path) -> Result<Vec<u8>, StoreError> {
    tokio::fs::read(path).await.map_err(|error| unreadable(place, option, path, &error.to_string()))
}

fn unreadable(place: &str, option: &str, path: &Path, why: &str) -> StoreError {
    let reason = format!("its {option}, {}, cannot be read: {why}", path.display());
    StoreError::Place { place: place.to_owned(), reason }
}
