//! The SQL condition of the job file, compiled by DataFusion.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;

use super::{OpenFile, first_line};
use crate::PrepareError;
use crate::input::InputFile;

/// The condition as an expression over a schema.
pub(super) fn expression(
    context: &SessionContext,
    filter: &str,
    file: &InputFile,
    schema: &Schema,
) -> Result<(Expr, Arc<dyn PhysicalExpr>), PrepareError> {
    let bad = |why: String| PrepareError::BadFilter {
        filter: filter.into(),
        file: file.uri().into(),
        why: first_line(&why),
        available: schema.fields().iter().map(|field| field.name().clone()).collect(),
    };
    let named = DFSchema::try_from(schema.clone()).map_err(|why| bad(why.to_string()))?;
    let logical = context.parse_sql_expr(filter, &named).map_err(|why| bad(why.strip_backtrace()))?;
    let physical =
        context.create_physical_expr(logical.clone(), &named).map_err(|why| bad(why.strip_backtrace()))?;
    match physical.data_type(schema) {
        Ok(DataType::Boolean) => Ok((logical, physical)),
        Ok(other) => Err(bad(format!("it is {other}, not true or false"))),
        Err(why) => Err(bad(why.strip_backtrace())),
    }
}

/// Indices of the columns the condition reads.
pub(super) fn columns(
    context: &SessionContext,
    filter: &str,
    file: &InputFile,
    schema: &SchemaRef,
) -> Result<Vec<usize>, PrepareError> {
    let (logical, _) = expression(context, filter, file, schema)?;
    let mut indices: Vec<usize> =
        logical.column_refs().iter().filter_map(|column| schema.index_of(&column.name).ok()).collect();
    indices.sort_unstable();
    Ok(indices)
}

/// For which rows of a batch the condition is true.
pub(super) fn keep(
    file: &OpenFile,
    condition: &dyn PhysicalExpr,
    batch: &RecordBatch,
) -> Result<BooleanArray, PrepareError> {
    let value = condition.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
    let value = value.map_err(|why| file.unreadable(format!("log.filter: {why}")))?;
    Ok(value.as_boolean().clone())
}
