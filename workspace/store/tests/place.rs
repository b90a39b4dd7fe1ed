//! Names of stores, right and wrong.
#![allow(clippy::unwrap_used)]

use twinspire_store::{EtcdPlace, Password, Place};

fn etcd(text: &str) -> EtcdPlace {
    match text.parse().unwrap() {
        Place::Etcd(etcd) => etcd,
        Place::File(path) => panic!("{text}: {path:?}"),
    }
}

#[test]
fn a_path_is_a_file() {
    for (text, path) in
        [("runs/state.redb", "runs/state.redb"), ("file:///var/a b.redb", "/var/a b.redb"), ("etcd", "etcd")]
    {
        assert_eq!(text.parse::<Place>().unwrap(), Place::File(path.into()));
    }
}

#[test]
fn members_and_prefix() {
    let place = etcd("etcd://a,b:1,[::1],[fe80::2]:65535/");
    assert_eq!(place.endpoints, ["a:2379", "b:1", "[::1]:2379", "[fe80::2]:65535"]);
    for (text, prefix) in [
        ("etcd://a", "/twinspire/"),
        ("etcd://a/", "/twinspire/"),
        ("etcd://a//?ca=system", "/twinspire/"),
        ("etcd://a/staging", "/staging/"),
        ("etcd://a/teams/x/", "/teams/x/"),
    ] {
        assert_eq!(etcd(text).prefix, prefix, "{text}");
    }
}

#[test]
fn users_are_shown_without_their_passwords() {
    let place = etcd("etcd://anna%40x:a+b%2Fc%26d=e@host/p");
    assert_eq!(place.user.as_deref(), Some("anna@x"));
    assert_eq!(place.password, Some(Password::Given("a+b/c&d=e".into())));
    assert_eq!(place.to_string(), "etcd://anna@x@host:2379/p");
    assert!(!format!("{place:?} {:?}", place.password).contains("a+b"));
    let place = etcd("etcd://anna@host?password_file=/run/secret");
    assert_eq!(place.password, Some(Password::File("/run/secret".into())));
}

#[test]
fn certificates() {
    assert_eq!(etcd("etcd://a").tls, None);
    assert_eq!(etcd("etcd://a?ca=system").tls.unwrap().ca, None);
    for text in ["etcd://a?ca=/ca.pem&cert=/c&key=/k", "etcd://a?cert=/c&key=/k&ca=/ca.pem"] {
        let tls = etcd(text).tls.unwrap();
        assert_eq!(tls.ca, Some("/ca.pem".into()), "{text}");
        assert_eq!(tls.identity, Some(("/c".into(), "/k".into())), "{text}");
    }
}

#[test]
fn what_names_no_store_is_told_with_the_remedy() {
    for (text, remedy) in [
        ("", "file:///"),
        ("s3://bucket/key", "etcd://"),
        ("http://host:2379", "`http://`"),
        ("file://state.redb", "three slashes"),
        ("etcd://", "host:port"),
        ("etcd://a,,b", "host:port"),
        ("etcd://a:0", "`a:0`"),
        ("etcd://a:http", "`a:http`"),
        ("etcd://::1:2379", "`::1:2379`"),
        ("etcd://a b", "`a b`"),
        ("etcd://a?cafile=/x", "`cafile`"),
        ("etcd://a?ca=/x&cert=/y", "go together"),
        ("etcd://a?cert=/x&key=/y", "need a ca"),
        ("etcd://anna@a", "password_file"),
        ("etcd://a?password_file=/x", "user"),
        ("etcd://anna:x@a?password_file=/x", "two passwords"),
        ("etcd://:secret@a", "empty"),
        ("etcd://anna:@a", "empty"),
        ("etcd://anna:secret@a:x", "host:port"),
        ("etcd://anna:secret@a?z=1", "`z`"),
    ] {
        let error = text.parse::<Place>().unwrap_err();
        let said = error.to_string();
        assert!(error.code() == "TW5105" && !error.is_retryable(), "{text}: {said}");
        assert!(said.contains(remedy) && !said.contains("secret"), "{text}: {said}");
    }
}
