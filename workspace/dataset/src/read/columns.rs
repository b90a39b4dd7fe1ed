//! Arrow columns -> slices, checked.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType};
use arrow::record_batch::RecordBatch;

use crate::error::DatasetError;

/// A column of lists: row i is `values[offsets[i]..offsets[i + 1]]`. Shares Arrow's memory.
#[derive(Clone, Debug)]
pub(super) struct Lists<N: ArrowNativeType> {
    offsets: OffsetBuffer<i32>,
    values: ScalarBuffer<N>,
}

impl<N: ArrowNativeType> Lists<N> {
    pub(super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn row(&self, row: usize) -> &[N] {
        &self.values[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        self.offsets.len() * 4 + self.values.len() * size_of::<N>()
    }
}

/// The columns of a batch of a file, for errors that say where.
pub(super) struct Columns<'a> {
    pub(super) file: &'a str,
    pub(super) batch: &'a RecordBatch,
}

impl Columns<'_> {
    pub(super) fn lists<T: ArrowPrimitiveType>(&self, name: &str) -> Result<Lists<T::Native>, DatasetError> {
        let column = self.column(name)?;
        self.no_nulls(name, column)?;
        self.nullable_lists::<T>(name)
    }

    /// Lists of which whole ones may be null; they come out empty.
    pub(super) fn nullable_lists<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<Lists<T::Native>, DatasetError> {
        let column = self.column(name)?;
        let wanted =
            || self.bad(name, format!("it is {}, not a list of {}", column.data_type(), T::DATA_TYPE));
        let lists = column.as_list_opt::<i32>().ok_or_else(wanted)?;
        let values = lists.values().as_primitive_opt::<T>().ok_or_else(wanted)?;
        if values.null_count() > 0 {
            return Err(self.bad(name, format!("{} of its lists' values are null", values.null_count())));
        }
        let offsets = match lists.nulls() {
            // A null list may have any extent; readers of Parquet give it none.
            Some(nulls) if (0..lists.len()).any(|row| nulls.is_null(row) && lists.value_length(row) > 0) => {
                return Err(self.bad(name, "a null list has values".into()));
            }
            _ => lists.offsets().clone(),
        };
        Ok(Lists { offsets, values: values.values().clone() })
    }

    pub(super) fn numbers<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<ScalarBuffer<T::Native>, DatasetError> {
        let column = self.column(name)?;
        self.no_nulls(name, column)?;
        let numbers: &PrimitiveArray<T> = column
            .as_primitive_opt()
            .ok_or_else(|| self.bad(name, format!("it is {}, not {}", column.data_type(), T::DATA_TYPE)))?;
        Ok(numbers.values().clone())
    }

    pub(super) fn texts(&self, name: &str) -> Result<StringArray, DatasetError> {
        let column = self.column(name)?;
        self.no_nulls(name, column)?;
        let texts = column
            .as_string_opt::<i32>()
            .ok_or_else(|| self.bad(name, format!("it is {}, not Utf8", column.data_type())))?;
        Ok(texts.clone())
    }

    fn column(&self, name: &str) -> Result<&ArrayRef, DatasetError> {
        self.batch.column_by_name(name).ok_or_else(|| self.bad(name, "it is missing".into()))
    }

    fn no_nulls(&self, name: &str, column: &ArrayRef) -> Result<(), DatasetError> {
        match column.null_count() {
            0 => Ok(()),
            nulls => Err(self.bad(name, format!("{nulls} of its values are null"))),
        }
    }

    fn bad(&self, column: &str, why: String) -> DatasetError {
        DatasetError::Column { file: self.file.to_owned(), column: column.to_owned(), why }
    }
}
