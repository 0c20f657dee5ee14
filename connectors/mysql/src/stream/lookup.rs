use connector_api::{Capture, Result, TableLayout, TableName};

use super::scan::{Mark, Scan};
use crate::config::MysqlConfig;
use crate::doctor;
use crate::session::{Doing, SqlClient, sql_error};

/// Finds the columns of tables that the log does not name the columns of.
///
/// The database only says what they are now, and the rows in question were written before. Whether
/// nothing came between is in the log itself: it is read from those rows up to where it ended when
/// the database had answered. Rows are the proof of the other direction: a server lets nobody
/// write to a table while it is being changed, so that a change that lies before them is visible.
#[derive(Debug)]
pub(super) struct Lookup {
    config: MysqlConfig,
    scan: Scan,
}

impl Lookup {
    pub(super) fn new(config: &MysqlConfig, capture: Capture, fold_case: bool) -> Self {
        // Another dump under our number would end the one that waits for the answer.
        Self { config: config.beside(), scan: Scan::new(capture, fold_case) }
    }

    /// The columns of `table` in rows that stand at `here`, or why nobody can say them.
    pub(super) async fn columns(
        &mut self,
        table: &TableName,
        here: Mark,
    ) -> Result<Result<TableLayout, String>> {
        let mut client = SqlClient::connect(&self.config).await?;
        let flavor = client.flavor();
        let failed = |error| {
            let doing = Doing::Asking("the lookup of a table's columns");
            sql_error(error, &doing, &self.config, flavor)
        };
        let columns = doctor::columns(&mut client, table).await.map_err(failed)?;
        let head = doctor::head(&mut client).await.map_err(failed)?;
        client.close().await;
        let (Some(columns), Some((file, offset))) = (columns, head) else {
            return Ok(Err("the log does not say the names of its columns, and the table is not \
                           there any more to ask for them"
                .to_owned()));
        };
        self.scan.extend(&self.config, here.clone(), &Mark { file, offset }).await?;
        Ok(match self.scan.change_behind(&here, table) {
            None => Ok(TableLayout { name: table.clone(), columns }),
            Some(change) => Err(format!(
                "the log does not say the names of its columns, and it was altered again at {} of \
                 {}, before they were looked up; SET GLOBAL binlog_row_metadata=FULL makes the \
                 log say them",
                change.offset, change.file
            )),
        })
    }
}
