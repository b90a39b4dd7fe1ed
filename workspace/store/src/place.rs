//! How a store is named: a path, or the address of an etcd.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::form_urlencoded;

use crate::error::StoreError;

/// The prefix of all keys, unless the address has another.
const PREFIX: &str = "/twinspire/";

/// Where etcd listens, unless the address says otherwise.
const PORT: u16 = 2379;

/// Where a metadata store is.
///
/// | | |
/// |---|---|
/// | `runs/state.redb`, `file:///var/lib/twinspire/state.redb` | a file of this machine |
/// | `etcd://etcd-0:2379,etcd-1:2379,etcd-2:2379` | an etcd cluster, by all its members |
/// | `etcd://etcd:2379/staging` | the same; keys begin with `/staging/` instead of `/twinspire/` |
/// | `etcd://anna@etcd:2379?password_file=/run/secrets/etcd` | by name and password |
/// | `etcd://etcd:2379?ca=/tls/ca.pem&cert=/tls/me.pem&key=/tls/me.key` | over TLS; `ca=system` trusts what the system does |
///
/// Shown without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// An etcd cluster.
    Etcd(EtcdPlace),
}

/// An etcd cluster, and how to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct EtcdPlace {
    /// `host:port` of its members.
    pub endpoints: Vec<String>,
    /// What all keys begin with: `/twinspire/`.
    pub prefix: String,
    /// User name.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Password>,
    /// TLS; none: as plain text.
    pub tls: Option<EtcdTls>,
}

/// A password, or where it is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Itself.
    Given(String),
    /// In this file.
    File(PathBuf),
}

/// Certificates, all PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdTls {
    /// The authority that the servers' certificates are signed by; none: the system's.
    pub ca: Option<PathBuf>,
    /// This client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl FromStr for Place {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Place, StoreError> {
        let wrong = |reason: String| StoreError::Place { place: without_password(text), reason };
        if let Some(path) = text.strip_prefix("file://") {
            return match path.starts_with('/') {
                true => Ok(Place::File(path.into())),
                false => Err(wrong("a file URI has three slashes and an absolute path, file:///…".into())),
            };
        }
        if let Some(rest) = text.strip_prefix("etcd://") {
            return etcd(rest).map(Place::Etcd).map_err(wrong);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(wrong(format!("`{scheme}://` is none; use a path, file:/// or etcd://")));
        }
        if text.is_empty() {
            return Err(wrong("it is empty; use a path, file:/// or etcd://".into()));
        }
        Ok(Place::File(text.into()))
    }
}

fn etcd(rest: &str) -> Result<EtcdPlace, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) =
        authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
    let endpoints = hosts.split(',').map(endpoint).collect::<Result<Vec<String>, String>>()?;
    let prefix = match path.trim_matches('/') {
        "" => PREFIX.to_owned(),
        path => format!("/{path}/"),
    };
    let mut place = EtcdPlace { endpoints, prefix, user: None, password: None, tls: None };
    if let Some(user) = user {
        let (user, password) = user.split_once(':').map_or((user, None), |(user, word)| (user, Some(word)));
        place.user = Some(decoded(user)?);
        place.password = password.map(decoded).transpose()?.map(Password::Given);
    }
    let (mut cert, mut key) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let path = PathBuf::from(value.as_ref());
        match name.as_ref() {
            "ca" if value == "system" => place.tls = Some(EtcdTls::default()),
            "ca" => place.tls = Some(EtcdTls { ca: Some(path), identity: None }),
            "cert" => cert = Some(path),
            "key" => key = Some(path),
            "password_file" if place.password.is_none() => place.password = Some(Password::File(path)),
            "password_file" => return Err("there are two passwords".into()),
            other => {
                return Err(format!("`{other}` is no option; there are ca, cert, key and password_file"));
            }
        }
    }
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err("cert and key go together".into()),
    };
    match (&mut place.tls, identity) {
        (Some(tls), identity) => tls.identity = identity,
        (None, None) => {}
        (None, Some(_)) => return Err("cert and key need a ca: a PEM file, or `system`".into()),
    }
    if place.user.is_some() != place.password.is_some() {
        return Err(
            "a user needs a password and the other way round: user:password@… or password_file=…".into()
        );
    }
    Ok(place)
}

/// `host:port`, `host`, or with an address in brackets: `[::1]:port`.
fn endpoint(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is no address of an etcd member; write host or host:port");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (text, PORT),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || (c == ':' && bare != host);
    if port == 0 || bare.is_empty() || !bare.chars().all(fits) {
        Err(wrong())
    } else {
        Ok(format!("{host}:{port}"))
    }
}

/// Without `%40` and the like.
fn decoded(text: &str) -> Result<String, String> {
    // As the one field of a form; in forms only, a plus is a space.
    let form = format!("field={}", text.replace('+', "%2B").replace('&', "%26"));
    let decoded = form_urlencoded::parse(form.as_bytes()).next().map(|(_, text)| text.into_owned());
    decoded
        .filter(|text| !text.is_empty())
        .ok_or_else(|| "the user or password before the `@` is empty".into())
}

/// For messages.
fn without_password(text: &str) -> String {
    let Some((before, hosts)) = text.rsplit_once('@') else { return text.to_owned() };
    let (scheme, user) = before.split_once("://").unwrap_or(("", before));
    match user.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:…@{hosts}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Etcd(etcd) => etcd.fmt(f),
        }
    }
}

impl fmt::Display for EtcdPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map_or_else(String::new, |user| format!("{user}@"));
        write!(f, "etcd://{user}{}{}", self.endpoints.join(","), self.prefix.trim_end_matches('/'))
    }
}

impl fmt::Debug for EtcdPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {:?}", self.tls)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::Given(_) => f.write_str("Given(…)"),
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}
