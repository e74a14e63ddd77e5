//! Log lines: a sentence for people first, then `key=value`; or one JSON object per line.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;

/// Sets up logging to standard error. `TANDEM_LOG` overrides what is logged (`debug`, `tandem_server=trace`).
pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env("TANDEM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Human => {
            let colour = std::io::stderr().is_terminal();
            builder.with_ansi(colour).event_format(Human { colour }).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
}

/// `2026-11-22T12:03:11.204Z NOTE  a sentence   key=value`
struct Human {
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        let (word, colour) = word(*event.metadata().level());
        if self.colour {
            write!(writer, " \x1b[{colour}m{word:<5}\x1b[0m ")?;
        } else {
            write!(writer, " {word:<5} ")?;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let gap = if line.fields.is_empty() { "" } else { "  " };
        writeln!(writer, "{}{gap}{}", line.message, line.fields)
    }
}

/// Ordinary news is a NOTE: "INFO" says nothing.
fn word(level: Level) -> (&'static str, u8) {
    match level {
        Level::ERROR => ("ERROR", 31),
        Level::WARN => ("WARN", 33),
        Level::INFO => ("NOTE", 32),
        Level::DEBUG => ("DEBUG", 34),
        Level::TRACE => ("TRACE", 35),
    }
}

/// The sentence, and what follows it.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // One event is one line, whatever a peer or a client put into a value.
        let text = format!("{value:?}").replace('\n', "\\n").replace('\r', "\\r");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push(' ');
            self.fields.push_str(field.name());
            self.fields.push('=');
            self.fields.push_str(&text);
        }
    }
}
