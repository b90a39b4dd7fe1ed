//! TorchScript of the towers gives the towers' embeddings when it is loaded back.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use serde_json::json;
use support::{catalogue, job, manifest};
use tch::Device;
use twinspire_towers::{Model, script};

#[test]
fn saved_towers_give_the_same_embeddings_when_loaded_back() {
    let dir = tempfile::tempdir().unwrap();
    for (encoder, id) in [("id", "table"), ("transformer", "none"), ("transformer", "hash"), ("mlp", "table")]
    {
        let spec = job(json!({"towers": {"item": {"encoder": encoder, "id_embedding": id}}}));
        let model = Model::new(&spec, &manifest(), &catalogue(), Device::Cpu).unwrap();
        let (item, user) = (dir.path().join("item.pt"), dir.path().join("user.pt"));
        script::item_tower(&model, &item).unwrap().prove(&item).unwrap();
        script::user_tower(&model, 8, &user).unwrap().prove(&user).unwrap();
    }
}

#[test]
fn a_script_of_other_weights_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one.pt"), dir.path().join("two.pt"));
    let model =
        |seed: u64| Model::new(&job(json!({"seed": seed})), &manifest(), &catalogue(), Device::Cpu).unwrap();
    script::user_tower(&model(1), 8, &one).unwrap();
    assert!(script::user_tower(&model(2), 8, &two).unwrap().prove(&one).is_err());
}
