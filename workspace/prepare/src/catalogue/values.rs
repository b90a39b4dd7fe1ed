//! Feature columns of whatever type, as what they stand for.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, LargeListArray, ListArray, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use twinspire_job::FeatureKind;

/// Why a column of this type cannot be the feature: what it should be, and what to do.
pub(super) fn misfit(kind: &FeatureKind, found: &DataType) -> Option<(&'static str, &'static str)> {
    let element = element(found);
    let scalar = |found: &DataType| !found.is_nested() && !matches!(found, DataType::Null);
    match kind {
        FeatureKind::Text { .. } => {
            let fits = scalar(found) || element.is_some_and(scalar);
            (!fits).then_some(("text (or a list of texts)", "name a column of text"))
        }
        FeatureKind::Categorical { .. } => {
            let fits = scalar(found) || element.is_some_and(scalar);
            (!fits).then_some((
                "a value or a list of values",
                "name a column of text or integers, or lists of them",
            ))
        }
        FeatureKind::Vector { .. } => {
            let fits = element.is_some_and(|element| element.is_numeric() || element.is_null());
            (!fits).then_some((
                "a list of numbers",
                "name a column of lists of numbers (Parquet or JSON lines), or use `type: vectors` for lists of lists",
            ))
        }
        FeatureKind::Vectors { .. } => {
            let number = |found: &DataType| found.is_numeric() || found.is_null();
            let inner = element.and_then(self::element);
            let fits = element.is_some_and(number) || inner.is_some_and(number);
            (!fits).then_some((
                "a list of lists of numbers, or one flat list of all their numbers",
                "name such a column (Parquet or JSON lines)",
            ))
        }
    }
}

fn element(found: &DataType) -> Option<&DataType> {
    match found {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

/// The column in the one shape its kind has: text as `Utf8`, categories as lists of `Utf8`,
/// vectors (one or several, flat) as lists of `Float32`.
pub(super) fn canonical(kind: &FeatureKind, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match kind {
        FeatureKind::Text { .. } => text(column),
        FeatureKind::Categorical { .. } => categories(column),
        FeatureKind::Vector { .. } | FeatureKind::Vectors { .. } => numbers(column),
    }
}

fn text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if element(column.data_type()).is_none() {
        return cast(column, &DataType::Utf8);
    }
    let lists = as_lists(column)?;
    let joined: StringArray = (0..lists.len())
        .map(|row| {
            let texts = lists.is_valid(row).then(|| cast(&lists.value(row), &DataType::Utf8)).transpose()?;
            Ok(texts.map(|texts| texts.as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(" ")))
        })
        .collect::<Result<Vec<Option<String>>, ArrowError>>()?
        .into_iter()
        .collect();
    Ok(Arc::new(joined))
}

fn categories(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new("item", DataType::Utf8, true));
    if element(column.data_type()).is_some() {
        let lists = as_lists(column)?;
        let values = cast(lists.values(), &DataType::Utf8)?;
        let lists = ListArray::try_new(field, lists.offsets().clone(), values, lists.nulls().cloned())?;
        return Ok(Arc::new(lists));
    }
    let values = cast(column, &DataType::Utf8)?;
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(1, values.len()));
    let nulls = values.nulls().cloned();
    Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls)?))
}

fn numbers(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new("item", DataType::Float32, true));
    let outer = as_lists(column)?;
    let (offsets, values) = match element(outer.values().data_type()) {
        None => (outer.offsets().clone(), Arc::clone(outer.values())),
        Some(_) => {
            // A null vector among several counts as a null number, which is refused later.
            let inner = as_lists(outer.values())?;
            let ends = inner.offsets();
            let flat: Vec<i32> = outer.offsets().iter().map(|end| ends[*end as usize]).collect();
            (OffsetBuffer::new(ScalarBuffer::from(flat)), Arc::clone(inner.values()))
        }
    };
    let values = cast(&values, &DataType::Float32)?;
    Ok(Arc::new(ListArray::try_new(field, offsets, values, outer.nulls().cloned())?))
}

/// Any kind of list as the plain one.
fn as_lists(column: &ArrayRef) -> Result<ListArray, ArrowError> {
    match column.data_type() {
        DataType::List(_) => Ok(column.as_list::<i32>().clone()),
        DataType::LargeList(field) => {
            let large: &LargeListArray = column.as_list::<i64>();
            let offsets = large.offsets().iter().map(|offset| i32::try_from(*offset));
            let offsets: Vec<i32> = offsets.collect::<Result<_, _>>().map_err(|why| {
                ArrowError::InvalidArgumentError(format!("lists of more than 2^31 values: {why}"))
            })?;
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            ListArray::try_new(Arc::clone(field), offsets, Arc::clone(large.values()), large.nulls().cloned())
        }
        DataType::FixedSizeList(field, size) => {
            let fixed: &FixedSizeListArray = column.as_fixed_size_list();
            let lengths = std::iter::repeat_n(*size as usize, fixed.len());
            // A sliced array's values begin at its first row: `values` of arrow 59 is sliced too.
            let nulls: Option<NullBuffer> = fixed.nulls().cloned();
            ListArray::try_new(
                Arc::clone(field),
                OffsetBuffer::from_lengths(lengths),
                Arc::clone(fixed.values()),
                nulls,
            )
        }
        other => Err(ArrowError::CastError(format!("{other} is no list"))),
    }
}

/// What is wrong with the numbers of a vector feature, if anything.
pub(super) fn fault(kind: &FeatureKind, numbers: &Float32Array) -> Option<String> {
    if numbers.null_count() > 0 {
        return Some("a number of the vector is null".into());
    }
    if let Some(place) = numbers.values().iter().position(|number| !number.is_finite()) {
        return Some(format!("number {place} of the vector is {}", numbers.value(place)));
    }
    match kind {
        FeatureKind::Vector { dim } if numbers.len() != *dim as usize => {
            Some(format!("the vector has {} numbers, the job says dim: {dim}", numbers.len()))
        }
        FeatureKind::Vectors { dim, .. } if !numbers.len().is_multiple_of((*dim).max(1) as usize) => {
            Some(format!("{} numbers are no whole number of vectors of dim: {dim}", numbers.len()))
        }
        _ => None,
    }
}
