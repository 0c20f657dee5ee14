use std::collections::HashMap;

use connector_api::{Capture, Result, TableLayout, TableName};

use super::scan::{Mark, Scan};
use super::suspects;
use crate::config::MysqlConfig;
use crate::decode::Suspects;
use crate::doctor;
use crate::session::{Doing, SqlClient, in_time, sql_error};

/// Finds the columns of tables that the log does not name the columns of.
///
/// The database only says what they are now, and the rows in question were written before. Whether
/// nothing came between is in the log itself: it is read from those rows up to where it ended when
/// the database had answered. Rows are the proof of the other direction: a server lets nobody
/// write to a table while it is being changed, so that a change that lies before them is visible.
#[derive(Debug)]
pub(crate) struct Lookup {
    config: MysqlConfig,
    capture: Capture,
    fold_case: bool,
    scan: Scan,
}

/// The columns of a table, or why nobody can say them.
pub(crate) type Answer = Result<TableLayout, String>;

impl Lookup {
    pub(crate) fn new(config: &MysqlConfig, capture: Capture, fold_case: bool) -> Self {
        // Another dump under our number would end the one that waits for the answer.
        let scan = Scan::new(capture.clone(), fold_case);
        Self { config: config.beside(), capture, fold_case, scan }
    }

    /// The captured tables that may change when a statement names another one.
    pub(super) async fn suspects(&self) -> Result<Suspects> {
        let mut client = SqlClient::connect(&self.config).await?;
        let flavor = client.flavor();
        let asking = suspects::ask(&mut client, &self.capture, self.fold_case);
        let asked = in_time(asking).await;
        client.close().await;
        asked.map_err(|error| {
            let doing = Doing::Asking("questions about triggers, views and routines");
            sql_error(error, &doing, &self.config, flavor)
        })
    }

    /// The columns of `table` in rows that stand at `here`, of which the log says the names or not.
    pub(crate) async fn columns(
        &mut self,
        table: &TableName,
        here: Mark,
        is_named: bool,
    ) -> Result<Answer> {
        let tables = std::slice::from_ref(table);
        let mut answers = self.judged(tables, here, is_named).await?;
        Ok(answers.remove(table).unwrap_or_else(|| {
            let rest = if is_named {
                "or the account may not see it"
            } else {
                "or the account may not see them all; SET GLOBAL binlog_row_metadata=FULL makes \
                 the log say them"
            };
            let what = unsaid(is_named);
            Err(format!(
                "the log does not say {what}, and the table is not there any more to ask for them, \
                 {rest}"
            ))
        }))
    }

    /// The columns of `tables` in rows that stand at `here`, as far as they exist.
    pub(crate) async fn all(
        &mut self,
        tables: &[TableName],
        here: Mark,
    ) -> Result<HashMap<TableName, Answer>> {
        self.judged(tables, here, false).await
    }

    async fn judged(
        &mut self,
        tables: &[TableName],
        here: Mark,
        is_named: bool,
    ) -> Result<HashMap<TableName, Answer>> {
        let mut client = SqlClient::connect(&self.config).await?;
        let flavor = client.flavor();
        let asked = in_time(ask(&mut client, tables, is_named)).await;
        client.close().await;
        let (layouts, head) = asked.map_err(|error| {
            let doing = Doing::Asking("the lookup of columns");
            sql_error(error, &doing, &self.config, flavor)
        })?;
        let Some(head) = head else {
            // Nothing says what has happened to them since.
            return Ok(HashMap::new());
        };
        self.scan.extend(&self.config, here.clone(), &head).await?;
        let judged = layouts.into_iter().map(|layout| {
            let answer = match self.scan.change_behind(&here, &layout.name) {
                None => Ok(layout.clone()),
                Some(change) => Err(altered(change, is_named)),
            };
            (layout.name, answer)
        });
        Ok(judged.collect())
    }
}

/// What the log leaves out of a table's columns.
fn unsaid(is_named: bool) -> &'static str {
    if is_named { "the types of all its columns" } else { "the names of its columns" }
}

fn altered(change: &Mark, is_named: bool) -> String {
    let help = match is_named {
        true => "",
        false => "; SET GLOBAL binlog_row_metadata=FULL makes the log say them",
    };
    format!(
        "the log does not say {}, and it was altered again at {} of {}, before they were looked \
         up{help}",
        unsaid(is_named),
        change.offset,
        change.file
    )
}

/// What the database says now, and where its log ends behind that.
async fn ask(
    client: &mut SqlClient,
    tables: &[TableName],
    is_named: bool,
) -> Result<(Vec<TableLayout>, Option<Mark>), mysql_async::Error> {
    let mut layouts = Vec::new();
    for name in tables {
        let columns = match is_named {
            true => doctor::visible_columns(client, name).await?,
            false => doctor::columns(client, name).await?,
        };
        layouts.extend(columns.map(|columns| TableLayout {
            name: name.clone(),
            id: None,
            columns,
        }));
    }
    let head = doctor::head(client).await?;
    Ok((layouts, head.map(|(file, offset)| Mark { file, offset })))
}
