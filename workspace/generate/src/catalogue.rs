//! `items.parquet`: titles, categories and image-like vectors that tell an item's topic and style.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Builder, ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rand::Rng;
use rand::distr::Distribution;
use rand_distr::StandardNormal;

use crate::output::Output;
use crate::spec::GenerateSpec;
use crate::words::word;
use crate::world::{World, rng, streams};
use crate::{GenerateError, events::item_id};

/// Name of the file.
pub const FILE: &str = "items.parquet";
/// One in eight items has no picture.
const WITHOUT_PICTURE: f64 = 0.125;
const BATCH: usize = 8192;

const GENERIC_WORDS: u64 = 400;
const TOPIC_WORDS: u64 = 30;
const STYLE_WORDS: u64 = 3;

fn schema() -> SchemaRef {
    let list = |of: DataType| DataType::List(Arc::new(Field::new("item", of, true)));
    Arc::new(Schema::new(vec![
        Field::new("item_id", DataType::Utf8, false),
        Field::new("title", DataType::Utf8, false),
        Field::new("categories", list(DataType::Utf8), false),
        Field::new("image_vectors", list(list(DataType::Float32)), true),
    ]))
}

/// Writes the catalogue; its size in bytes.
pub(crate) fn write(spec: &GenerateSpec, world: &World, output: &Output) -> Result<u64, GenerateError> {
    let mut slots: Vec<usize> = (0..world.items()).collect();
    slots.sort_unstable_by_key(|slot| world.number(*slot));
    let mut file = output.parquet(FILE, schema())?;
    for slots in slots.chunks(BATCH) {
        file.write(&batch(spec, world, slots).map_err(|why| GenerateError::write(FILE, why))?)?;
    }
    file.close()
}

fn batch(
    spec: &GenerateSpec,
    world: &World,
    slots: &[usize],
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut ids = StringBuilder::new();
    let mut titles = StringBuilder::new();
    let mut categories = ListBuilder::new(StringBuilder::new());
    let mut pictures = ListBuilder::new(ListBuilder::new(Float32Builder::new()));
    for slot in slots.iter().copied() {
        let item = Described::new(world, slot);
        let rng = &mut rng(spec.seed, streams::ITEMS + slot as u64);
        ids.append_value(item_id(world.number(slot)));
        titles.append_value(item.title(rng));
        categories.append_value(item.categories(world, rng).into_iter().map(Some));
        match item.pictures(spec, rng) {
            vectors if vectors.is_empty() => pictures.append_null(),
            vectors => {
                for vector in vectors {
                    pictures.values().values().append_slice(&vector);
                    pictures.values().append(true);
                }
                pictures.append(true);
            }
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.finish()),
        Arc::new(titles.finish()),
        Arc::new(categories.finish()),
        Arc::new(pictures.finish()),
    ];
    RecordBatch::try_new(schema(), columns)
}

struct Described {
    topic: u64,
    /// Number of the style among all styles.
    style: u64,
}

impl Described {
    fn new(world: &World, slot: usize) -> Described {
        Described { topic: world.topic_of(slot) as u64, style: world.style_number(slot) }
    }

    /// Three to eight words, of the style, the topic and the language.
    fn title(&self, rng: &mut impl Rng) -> String {
        let mut words = Vec::new();
        for _ in 0..rng.random_range(3..=8) {
            let number = match rng.random::<f64>() {
                way if way < 0.30 => self.style_word(rng.random_range(0..STYLE_WORDS)),
                way if way < 0.65 => {
                    GENERIC_WORDS + self.topic * TOPIC_WORDS + rng.random_range(0..TOPIC_WORDS)
                }
                _ => rng.random_range(0..GENERIC_WORDS),
            };
            words.push(word(number));
        }
        words.join(" ")
    }

    fn style_word(&self, which: u64) -> u64 {
        // After the words of the language and of 200 topics.
        GENERIC_WORDS + 200 * TOPIC_WORDS + self.style * STYLE_WORDS + which
    }

    fn categories(&self, world: &World, rng: &mut impl Rng) -> Vec<String> {
        let name = |topic: u64| format!("{}s", word(GENERIC_WORDS + topic * TOPIC_WORDS));
        let mut categories = vec![name(self.topic)];
        if rng.random_bool(0.3) {
            let other = name(rng.random_range(0..world.topics() as u64));
            if other != categories[0] {
                categories.push(other);
            }
        }
        categories
    }

    /// None to three vectors around the topic's and the style's centres.
    fn pictures(&self, spec: &GenerateSpec, rng: &mut impl Rng) -> Vec<Vec<f32>> {
        if rng.random_bool(WITHOUT_PICTURE) {
            return Vec::new();
        }
        let dim = spec.vector_dim as usize;
        let topic = centre(spec.seed, self.topic, dim);
        let style = centre(spec.seed, 1_000_000 + self.style, dim);
        (0..rng.random_range(1..=3))
            .map(|_| {
                topic
                    .iter()
                    .zip(&style)
                    .map(|(topic, style)| topic + 0.7 * style + 0.6 * normal(rng))
                    .collect()
            })
            .collect()
    }
}

fn centre(seed: u64, number: u64, dim: usize) -> Vec<f32> {
    let mut rng = rng(seed, streams::CENTRES + number);
    (0..dim).map(|_| normal(&mut rng)).collect()
}

fn normal(rng: &mut impl Rng) -> f32 {
    StandardNormal.sample(rng)
}
