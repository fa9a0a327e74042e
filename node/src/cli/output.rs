//! Where results go: one JSON document, JSON lines, YAML, a table, or ids alone; hints go to stderr.
//! Knows forms of output, not what is shown.

use std::io::{ErrorKind, Write};

use comfy_table::{Cell, Table, TableStyle};
use orc_client::wire::Page;
use serde::Serialize;

use super::{Failure, Global};

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// A table with more columns
    Wide,
    /// One JSON document, as the server answered
    Json,
    /// One JSON document a line
    Jsonl,
    /// YAML
    Yaml,
    /// Ids alone
    Name,
}

/// Prints results in the form that was asked for.
#[derive(Debug, Clone)]
pub struct Out {
    format: Format,
    quiet: bool,
    headers: bool,
    /// Times as they are stored.
    pub(super) utc: bool,
}

/// A column of a table: its title, whether only `wide` shows it, and its cell.
pub(super) struct Column<T> {
    title: &'static str,
    wide: bool,
    cell: fn(&T, &Out) -> String,
}

/// A column that every table shows.
pub(super) const fn column<T>(title: &'static str, cell: fn(&T, &Out) -> String) -> Column<T> {
    Column { title, wide: false, cell }
}

/// A column that only `-o wide` shows.
pub(super) const fn wide<T>(title: &'static str, cell: fn(&T, &Out) -> String) -> Column<T> {
    Column { title, wide: true, cell }
}

impl Out {
    /// Output as the flags say.
    pub fn new(global: &Global) -> Out {
        let format =
            if global.quiet && global.output == Format::Table { Format::Name } else { global.output };
        Out { format, quiet: global.quiet, headers: !global.no_headers, utc: global.utc }
    }

    /// Whether programs read the output.
    pub(super) fn is_structured(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl | Format::Yaml)
    }

    /// Whether the output is one document, however much is in it.
    pub(super) fn wants_one_document(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// Whether only what names or says a thing is shown.
    pub(super) fn wants_names(&self) -> bool {
        self.format == Format::Name
    }

    /// A list: a document, a line per item, a table or ids.
    pub(super) fn page<T: Serialize>(
        &self,
        page: &Page<T>,
        columns: &[Column<T>],
        name: fn(&T) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json | Format::Yaml => self.document(page),
            Format::Jsonl => page.items.iter().try_for_each(|item| self.json_line(item)),
            Format::Name => page.items.iter().try_for_each(|item| self.line(&name(item))),
            Format::Table | Format::Wide => {
                self.table(&page.items, columns)?;
                if let Some(cursor) = &page.next_cursor {
                    let total = page.total.map(|total| format!(" of {total}")).unwrap_or_default();
                    self.hint(&format!("{}{total} · next: --cursor {cursor}", page.items.len()));
                }
                Ok(())
            }
        }
    }

    /// A list that has no further pages.
    pub(super) fn all<T: Serialize>(
        &self,
        items: Vec<T>,
        columns: &[Column<T>],
        name: fn(&T) -> String,
    ) -> Result<(), Failure> {
        let page = Page { items, next_cursor: None, total: None, total_is_exact: None };
        self.page(&page, columns, name)
    }

    /// A table of items.
    pub(super) fn table<T>(&self, items: &[T], columns: &[Column<T>]) -> Result<(), Failure> {
        self.text(&self.table_text(items, columns))
    }

    /// The table as text, without a line break at its end.
    pub(super) fn table_text<T>(&self, items: &[T], columns: &[Column<T>]) -> String {
        let shown: Vec<&Column<T>> =
            columns.iter().filter(|column| !column.wide || self.format == Format::Wide).collect();
        let mut table = Table::new();
        table.load_style(TableStyle::new()).force_no_tty();
        if self.headers {
            table.set_header(shown.iter().map(|column| Cell::new(column.title)));
        }
        // The table measures cells; colours are put in afterwards, so that they do not count.
        let cells: Vec<Vec<String>> =
            items.iter().map(|item| shown.iter().map(|column| (column.cell)(item, self)).collect()).collect();
        for row in &cells {
            table.add_row(row.iter().map(|cell| Cell::new(strip(cell))));
        }
        let mut lines: Vec<String> = table.trim_fmt().lines().map(|line| line.trim().to_owned()).collect();
        let first = usize::from(self.headers && !lines.is_empty());
        for (line, row) in lines.iter_mut().skip(first).zip(&cells) {
            for cell in row.iter().filter(|cell| cell.starts_with('\u{1b}')) {
                *line = line.replacen(&strip(cell), cell, 1);
            }
        }
        lines.join("\n")
    }

    /// One thing: a document, its id, or lines for people.
    pub(super) fn item<T: Serialize>(
        &self,
        item: &T,
        name: &str,
        people: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json | Format::Jsonl | Format::Yaml => self.document(item),
            Format::Name => self.line(name),
            Format::Table | Format::Wide => self.text(&people()),
        }
    }

    /// A document for programs.
    pub(super) fn document<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        match self.format {
            Format::Yaml => {
                // Raw JSON inside a type has a form in JSON only.
                let plain = serde_json::to_value(value).map_err(Failure::unreadable)?;
                let text = serde_saphyr::to_string(&plain)
                    .map_err(|error| Failure::Unexpected(error.to_string()))?;
                self.text(text.trim_end())
            }
            Format::Jsonl => self.json_line(value),
            Format::Json | Format::Table | Format::Wide | Format::Name => {
                let plain = serde_json::to_value(value).map_err(Failure::unreadable)?;
                self.text(&serde_json::to_string_pretty(&plain).map_err(Failure::unreadable)?)
            }
        }
    }

    /// One item of a stream: a JSON line, or a line for people.
    pub(super) fn streamed<T: Serialize>(
        &self,
        item: &T,
        people: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.is_structured() { self.json_line(item) } else { self.line(&people()) }
    }

    /// A document on one line.
    pub(super) fn json_line<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.line(&serde_json::to_string(value).map_err(Failure::unreadable)?)
    }

    /// A line of data.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        self.text(text)
    }

    /// A line of data as it is; an empty one is a line, too.
    pub(super) fn whole_line(&self, text: &str) -> Result<(), Failure> {
        written(writeln!(anstream::stdout().lock(), "{text}"))
    }

    /// Lines of data; nothing if there are none.
    pub(super) fn text(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        written(writeln!(anstream::stdout().lock(), "{text}"))
    }

    /// Bytes of data.
    pub(super) fn raw(bytes: &[u8]) -> Result<(), Failure> {
        written(std::io::stdout().lock().write_all(bytes))
    }

    /// A line on stderr that people may like to know.
    pub(super) fn hint(&self, text: &str) {
        if !self.quiet && !self.is_structured() {
            note(text);
        }
    }
}

/// A line on stderr.
pub(super) fn note(text: &str) {
    // A closed stderr leaves nobody to tell.
    writeln!(anstream::stderr().lock(), "{text}").ok();
}

/// A reader that went away (`orc … | head`) is no failure.
fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
        Err(error) => Err(Failure::Unexpected(format!("stdout: {error}"))),
    }
}

/// Text without colours.
fn strip(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_move_columns() {
        let out = Out { format: Format::Table, quiet: false, headers: true, utc: false };
        let columns: [Column<(&str, &str)>; 3] = [
            column("STATUS", |row, _| super::super::style::status(row.0)),
            column("NAME", |row, _| row.1.to_owned()),
            wide("MORE", |_, _| "x".to_owned()),
        ];
        let text = out.table_text(&[("completed", "a"), ("failed", "bb")], &columns);
        let lines: Vec<String> = text.lines().map(strip).collect();
        let places: Vec<Option<usize>> = ["NAME", "a", "bb"]
            .iter()
            .zip(&lines)
            .map(|(word, line)| line.rfind(word).map(|at| line[..at].chars().count()))
            .collect();
        assert_eq!(places[0], places[1]);
        assert_eq!(places[1], places[2]);
        assert!(text.contains("\u{1b}[32m") && !text.contains("MORE"));
    }
}
