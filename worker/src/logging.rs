//! Where log lines go: to standard error, and, while there is a task, with its job.

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        self, FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::job_log::JobLog;

/// Starts logging, at the level of `RUST_LOG` or else `info`. With a name, lines on standard error
/// begin with it: those of several processes are read together there.
pub(crate) fn start(name: Option<String>, job: JobLog) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = fmt::layer()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        // It would panic when standard error is closed.
        .log_internal_errors(false)
        .event_format(Named { name, format: Format::default().with_ansi(false) });
    let job = fmt::layer().with_ansi(false).with_writer(job).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(stderr).with(job).init();
}

struct Named {
    name: Option<String>,
    format: Format,
}

impl<S, N> FormatEvent<S, N> for Named
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        if let Some(name) = &self.name {
            write!(writer, "{name} ")?;
        }
        self.format.format_event(context, writer, event)
    }
}
