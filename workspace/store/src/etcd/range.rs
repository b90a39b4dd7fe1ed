//! Reading: always as etcd's leader has it.

use etcd_client::{Client, GetOptions, GetResponse, KeyValue, KvClient, ResponseHeader};

use super::Etcd;
use super::stamp::{self, Stamp};
use super::trouble::Trouble;
use crate::error::StoreError;
use crate::metadata::{Version, Versioned};

/// Keys in one answer: of the largest values, 50 MB.
const PAGE: i64 = 500;

/// A value, and whose write it is.
#[derive(Clone)]
pub(super) struct Stamped {
    pub(super) versioned: Versioned,
    pub(super) stamp: Option<Stamp>,
}

impl Etcd {
    pub(super) async fn read(&self, key: String, options: GetOptions) -> Result<GetResponse, Trouble> {
        let (key, options) = (key.as_str(), &options);
        self.retried(|client| async move { kv(&client).get(key, Some(options.clone())).await }).await
    }

    /// A key as it was at a revision; 0 is now.
    pub(super) async fn get_at(&self, key: &str, revision: i64) -> Result<Option<Stamped>, Trouble> {
        let options = GetOptions::new().with_revision(revision);
        let mut answer = self.read(self.full(key), options).await?;
        Ok(answer.take_kvs().pop().map(stamped))
    }
}

/// The client for keys. Values are bounded, so answers need not be.
pub(super) fn kv(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(usize::MAX)
}

pub(super) async fn get(etcd: &Etcd, key: &str) -> Result<Option<Versioned>, StoreError> {
    let found = etcd.get_at(key, 0).await.map_err(|trouble| trouble.explain(&etcd.place, key))?;
    Ok(found.map(|found| found.versioned))
}

/// What begins with `prefix`, and the revision that this was seen at.
pub(super) async fn snapshot(
    etcd: &Etcd,
    prefix: &str,
) -> Result<(i64, Vec<(String, Versioned)>), StoreError> {
    loop {
        match pages(etcd, prefix).await {
            Ok(found) => return Ok(found),
            // Between two pages.
            Err(Trouble::Compacted) => {}
            Err(trouble) => return Err(trouble.explain(&etcd.place, prefix)),
        }
    }
}

async fn pages(etcd: &Etcd, prefix: &str) -> Result<(i64, Vec<(String, Versioned)>), Trouble> {
    let mut from = etcd.full(prefix);
    let end = end_of(&from);
    let (mut revision, mut found) = (0, Vec::new());
    loop {
        let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE).with_revision(revision);
        let mut page = etcd.read(from, options).await?;
        // All pages as of the first one's moment.
        if revision == 0 {
            revision = revision_of(page.header());
        }
        for pair in page.take_kvs() {
            found.push((etcd.bare(pair.key())?, stamped(pair).versioned));
        }
        match found.last() {
            // The first key that may come after it.
            Some((last, _)) if page.more() => from = format!("{}\0", etcd.full(last)),
            _ => return Ok((revision, found)),
        }
    }
}

pub(super) fn revision_of(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, ResponseHeader::revision)
}

/// The first key after all that begin with `prefix`, which is text: no byte of it is the last.
pub(super) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

pub(super) fn version(revision: i64) -> Version {
    Version(u64::try_from(revision).unwrap_or(0))
}

pub(super) fn stamped(pair: KeyValue) -> Stamped {
    let version = version(pair.mod_revision());
    let (value, stamp) = stamp::take_off(pair.into_key_value().1);
    Stamped { versioned: Versioned { version, value }, stamp }
}
