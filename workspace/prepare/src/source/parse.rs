//! Rows of text -> batches; what does not parse is found row by row.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::block::halves;
use super::{OpenFile, ReadAs, Wanted, first_line, unreadable};
use crate::PrepareError;
use crate::input::{Format, InputFile};

/// Rows of a batch.
const BATCH: usize = 8192;
/// Rows looked at to learn types.
const SAMPLE: usize = 1000;

/// What came of a block.
#[derive(Default)]
pub(super) struct Parsed {
    /// Batches, each with the number of its first row.
    pub(super) batches: Vec<(RecordBatch, u64)>,
    pub(super) bad: Vec<BadRow>,
}

/// A row that does not parse.
pub(super) struct BadRow {
    pub(super) row: u64,
    pub(super) text: String,
    pub(super) why: String,
}

/// Parses a block; where it does not parse, its halves, down to the rows that are bad.
pub(super) fn rows(file: &OpenFile, read: &[usize], bytes: &[u8], first_row: u64, out: &mut Parsed) {
    match parse(file, read, bytes) {
        Ok(batches) => {
            let mut row = first_row;
            for batch in batches {
                let rows = batch.num_rows() as u64;
                out.batches.push((batch, row));
                row += rows;
            }
        }
        Err(why) => match halves(bytes, matches!(file.file.format, Format::Csv(_))) {
            Some((first, second, count)) => {
                rows(file, read, first, first_row, out);
                rows(file, read, second, first_row + count, out);
            }
            None => out.bad.push(BadRow {
                row: first_row,
                text: String::from_utf8_lossy(bytes).trim_end().chars().take(300).collect(),
                why: first_line(&why.to_string()),
            }),
        },
    }
}

fn parse(file: &OpenFile, read: &[usize], bytes: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    match file.file.format {
        Format::Csv(delimiter) => arrow::csv::ReaderBuilder::new(Arc::clone(&file.schema))
            .with_header(false)
            .with_delimiter(delimiter)
            .with_projection(read.to_vec())
            .with_batch_size(BATCH)
            .build_buffered(Cursor::new(bytes))?
            .collect(),
        _ => arrow::json::ReaderBuilder::new(Arc::new(file.schema.project(read)?))
            .with_coerce_primitive(true)
            .with_batch_size(BATCH)
            .build(Cursor::new(bytes))?
            .collect(),
    }
}

/// Columns and types by the first rows; `None` when there are no rows at all.
pub(super) fn infer(file: &InputFile, head: &[u8]) -> Result<Option<SchemaRef>, PrepareError> {
    if head.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let schema = match file.format {
        Format::Csv(delimiter) => infer_csv(head, delimiter).map_err(|why| unreadable(file, why))?,
        _ => infer_json(file, head)?,
    };
    Ok(Some(Arc::new(schema)))
}

fn infer_csv(head: &[u8], delimiter: u8) -> Result<Schema, ArrowError> {
    let format = arrow::csv::reader::Format::default().with_header(true).with_delimiter(delimiter);
    // A bad row in the sample spoils it: look at the rows before it only.
    let mut sample = SAMPLE;
    loop {
        match format.infer_schema(Cursor::new(head), Some(sample)) {
            Ok((schema, _)) => return Ok(schema),
            Err(why) if sample == 0 => return Err(why),
            Err(_) => sample /= 4,
        }
    }
}

fn infer_json(file: &InputFile, head: &[u8]) -> Result<Schema, PrepareError> {
    if head.trim_ascii_start().starts_with(b"[") {
        return Err(unreadable(file, "it begins with `[`: a JSON array; one object a line is needed"));
    }
    let lines = head.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let objects = lines
        .take(SAMPLE)
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(serde_json::Value::is_object);
    let schema = arrow::json::reader::infer_json_schema_from_iterator(objects.map(Ok))
        .map_err(|why| unreadable(file, why))?;
    if schema.fields().is_empty() {
        return Err(unreadable(
            file,
            format!("none of its first {SAMPLE} lines is a JSON object with a field"),
        ));
    }
    Ok(schema)
}

/// The types columns are read as: wanted ones as they are wanted, the others as they seem.
/// `filtered`: indices of the filter's columns.
pub(super) fn schema_to_read(inferred: &SchemaRef, wanted: &[Wanted], filtered: &[usize]) -> SchemaRef {
    let fields: Vec<Field> = inferred
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let seems = match field.data_type() {
                DataType::Null => DataType::Utf8View,
                other => other.clone(),
            };
            let read = wanted.iter().find(|wanted| wanted.column == *field.name()).map(|wanted| wanted.read);
            let data_type = match read {
                Some(ReadAs::Text) => with_leaf(&seems, &DataType::Utf8View),
                Some(ReadAs::Loose) if !filtered.contains(&index) => with_leaf(&seems, &DataType::Utf8View),
                Some(ReadAs::Numbers) => with_leaf(&seems, &DataType::Float32),
                _ => seems,
            };
            Field::new(field.name(), data_type, true)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The type with `leaf` in the innermost lists.
fn with_leaf(data_type: &DataType, leaf: &DataType) -> DataType {
    match data_type {
        DataType::List(field) => {
            let inner = with_leaf(field.data_type(), leaf);
            DataType::List(Arc::new(Field::new(field.name(), inner, true)))
        }
        DataType::Struct(_) => data_type.clone(),
        _ => leaf.clone(),
    }
}
