//! Columns of whatever type, as what they stand for.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringViewArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, UInt64Type};
use arrow::error::ArrowError;

use super::times::parse_time;
use crate::event::{TimeKind, order_of_float, order_of_int};
use crate::rejects::Cause;

/// Ids: text or integers. Floats are taken as integers when they are whole (an integer column
/// with nulls becomes floats in pandas).
pub(crate) enum Ids {
    Text(StringViewArray),
    Int(Int64Array),
    UInt(UInt64Array),
}

impl Ids {
    pub(crate) fn new(column: &ArrayRef) -> Result<Ids, ArrowError> {
        Ok(match column.data_type() {
            DataType::UInt64 => Ids::UInt(column.as_primitive::<UInt64Type>().clone()),
            kind if kind.is_integer() || matches!(kind, DataType::Decimal128(_, 0)) => {
                Ids::Int(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            kind if kind.is_floating() => {
                let numbers = cast(column, &DataType::Float64)?;
                let whole =
                    |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
                let numbers = numbers.as_primitive::<Float64Type>();
                Ids::Int(numbers.iter().map(|number| number.and_then(whole)).collect())
            }
            _ => Ids::Text(text(column)?),
        })
    }

    /// The id as text; `None` for null, empty text and what is no id.
    pub(crate) fn get<'a>(&'a self, index: usize, buffer: &'a mut itoa::Buffer) -> Option<&'a [u8]> {
        match self {
            Ids::Text(ids) => {
                let id = ids.is_valid(index).then(|| ids.value(index))?;
                (!id.is_empty()).then_some(id.as_bytes())
            }
            Ids::Int(ids) => ids.is_valid(index).then(|| buffer.format(ids.value(index)).as_bytes()),
            Ids::UInt(ids) => ids.is_valid(index).then(|| buffer.format(ids.value(index)).as_bytes()),
        }
    }
}

/// Names: text, or anything shown as text.
pub(super) struct Texts(StringViewArray);

impl Texts {
    pub(super) fn new(column: &ArrayRef) -> Result<Texts, ArrowError> {
        text(column).map(Texts)
    }

    pub(super) fn get(&self, index: usize) -> Option<&str> {
        self.0.is_valid(index).then(|| self.0.value(index)).filter(|name| !name.is_empty())
    }
}

/// Times of any type.
pub(super) enum Times {
    Milliseconds(Int64Array),
    Raw(Int64Array),
    RawFloat(Float64Array),
    Text(StringViewArray),
}

impl Times {
    pub(super) fn new(column: &ArrayRef) -> Result<Times, ArrowError> {
        Ok(match column.data_type() {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                let milliseconds = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
                Times::Milliseconds(
                    cast(&milliseconds, &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
                )
            }
            kind if kind.is_integer() => {
                Times::Raw(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            kind if kind.is_floating() => {
                Times::RawFloat(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            _ => Times::Text(text(column)?),
        })
    }

    pub(super) fn get(&self, index: usize) -> Result<(i64, TimeKind), Cause> {
        match self {
            Times::Milliseconds(times) if times.is_valid(index) => {
                Ok((times.value(index), TimeKind::Milliseconds))
            }
            Times::Raw(times) if times.is_valid(index) => Ok((times.value(index), TimeKind::Raw)),
            Times::RawFloat(times) if times.is_valid(index) => {
                let thousandths = times.value(index) * 1000.0;
                match thousandths.abs() < 9e18 {
                    true => Ok((thousandths.round() as i64, TimeKind::RawThousandths)),
                    false if thousandths.is_nan() => Err(Cause::NullTimestamp),
                    false => Err(Cause::BadTimestamp),
                }
            }
            Times::Text(times) if times.is_valid(index) && !times.value(index).is_empty() => {
                parse_time(times.value(index)).ok_or(Cause::BadTimestamp)
            }
            _ => Err(Cause::NullTimestamp),
        }
    }
}

/// Places in a user's history.
pub(super) enum Orders {
    Int(Int64Array),
    Float(Float64Array),
}

impl Orders {
    pub(super) fn new(column: &ArrayRef, as_float: bool) -> Result<Orders, ArrowError> {
        if as_float {
            return Ok(Orders::Float(numbers(column)?));
        }
        Ok(Orders::Int(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone()))
    }

    pub(super) fn get(&self, index: usize) -> Option<u64> {
        match self {
            Orders::Int(orders) => orders.is_valid(index).then(|| order_of_int(orders.value(index))),
            Orders::Float(orders) => {
                let order = orders.is_valid(index).then(|| orders.value(index))?;
                (!order.is_nan()).then(|| order_of_float(order))
            }
        }
    }
}

/// Numbers; text is parsed.
pub(super) struct Numbers {
    numbers: Float64Array,
    /// The column itself: what is there but is no number is bad, what is not there is missing.
    given: ArrayRef,
}

impl Numbers {
    pub(super) fn new(column: &ArrayRef) -> Result<Numbers, ArrowError> {
        Ok(Numbers { numbers: numbers(column)?, given: column.clone() })
    }

    pub(super) fn get(&self, index: usize) -> Result<Option<f64>, ()> {
        match (self.numbers.is_valid(index), self.given.is_valid(index)) {
            (true, _) => Ok(Some(self.numbers.value(index))),
            (false, false) => Ok(None),
            (false, true) => Err(()),
        }
    }
}

fn numbers(column: &ArrayRef) -> Result<Float64Array, ArrowError> {
    Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

fn text(column: &ArrayRef) -> Result<StringViewArray, ArrowError> {
    Ok(cast(column, &DataType::Utf8View)?.as_string_view().clone())
}
