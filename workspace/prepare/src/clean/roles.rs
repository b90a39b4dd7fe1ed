//! Which column of the log is what, and whether its type can be that.

use arrow::datatypes::DataType;
use twinspire_job::LogSpec;

use crate::PrepareError;
use crate::source::{OpenFile, ReadAs, Request, Wanted};

/// Places of the log's columns in the request (and in every batch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) user: usize,
    pub(crate) item: usize,
    pub(crate) action: Option<usize>,
    pub(crate) timestamp: Option<usize>,
    pub(crate) order: Option<usize>,
    pub(crate) surface: Option<usize>,
    pub(crate) duration: Option<usize>,
}

impl Roles {
    /// Roles and what to read for them.
    pub(crate) fn of(log: &LogSpec) -> (Roles, Request) {
        let mut columns: Vec<Wanted> = Vec::new();
        let mut want = |name: &str, column: &str, read| {
            columns.push(Wanted { field: format!("log.columns.{name}"), column: column.into(), read });
            columns.len() - 1
        };
        let given = &log.columns;
        let roles = Roles {
            user: want("user", &given.user, ReadAs::Text),
            item: want("item", &given.item, ReadAs::Text),
            action: given.action.as_deref().map(|column| want("action", column, ReadAs::Loose)),
            timestamp: given.timestamp.as_deref().map(|column| want("timestamp", column, ReadAs::Loose)),
            order: given.order.as_deref().map(|column| want("order", column, ReadAs::Loose)),
            surface: given.surface.as_deref().map(|column| want("surface", column, ReadAs::Loose)),
            duration: given.duration.as_deref().map(|column| want("duration", column, ReadAs::Loose)),
        };
        (roles, Request { columns, filter: log.filter.clone() })
    }

    /// Refuses columns whose type cannot be what the job says they are.
    pub(crate) fn check(&self, file: &OpenFile, request: &Request) -> Result<(), PrepareError> {
        let check = |place: Option<usize>, fits: fn(&DataType) -> bool, expected, remedy: &str| {
            let Some(place) = place else { return Ok(()) };
            let found = file.data_type(place);
            if fits(found) {
                return Ok(());
            }
            let wanted = &request.columns[place];
            Err(PrepareError::WrongType {
                file: file.file.uri().into(),
                field: wanted.field.clone(),
                column: wanted.column.clone(),
                found: found.to_string(),
                expected,
                remedy: remedy.into(),
            })
        };
        let id_remedy = "name the column that holds the id";
        check(Some(self.user), is_id, "an id (text or an integer)", id_remedy)?;
        check(Some(self.item), is_id, "an id (text or an integer)", id_remedy)?;
        check(self.action, is_name, "the name of an action", "name the column that holds it, or null")?;
        check(self.surface, is_name, "the name of a surface", "name the column that holds it, or null")?;
        check(
            self.timestamp,
            is_time,
            "a time (integer, timestamp, date or ISO 8601 text)",
            "name the column that holds it, or null when the log has no time",
        )?;
        check(self.order, is_order, "an order (a number or a time)", "name a column of numbers")?;
        check(self.duration, is_number, "a number of seconds", "name a column of numbers, or null")
    }

    /// Whether this file's order values are to be compared as floats.
    pub(crate) fn has_float_order(&self, file: &OpenFile) -> bool {
        self.order.is_some_and(|place| {
            let found = file.data_type(place);
            found.is_floating() || is_text(found)
        })
    }
}

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_id(found: &DataType) -> bool {
    is_text(found) || found.is_integer() || found.is_floating() || matches!(found, DataType::Decimal128(_, 0))
}

fn is_name(found: &DataType) -> bool {
    is_text(found) || found.is_integer() || matches!(found, DataType::Boolean)
}

fn is_time(found: &DataType) -> bool {
    is_text(found)
        || found.is_integer()
        || found.is_floating()
        || matches!(found, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

fn is_order(found: &DataType) -> bool {
    is_time(found)
}

fn is_number(found: &DataType) -> bool {
    is_text(found) || found.is_numeric()
}
