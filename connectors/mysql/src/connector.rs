use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use connector_api::{
    Capture, ChangeStream, Connector, Continuity, Detached, Error, Fault, Finding, Lineage,
    LogKeeping, Position, Result, ResumePoint, Severity, SnapshotReader, Survey, TableLayout,
    TableName,
};
use tokio::time::Instant;

use crate::config::MysqlConfig;
use crate::doctor::{self, Facts};
use crate::log::Flavor;
use crate::position::{
    GtidMode, Gtids, History, ListedLog, LogFile, LogIdentity, LogPosition, NOTHING_THERE,
    ServerFacts, continuity,
};
use crate::session::{Doing, Session, SqlClient, in_time, sql_error};
use crate::snapshot::MysqlSnapshot;
use crate::stream::{
    FileHead, LogReader, Lookup, Mark, MysqlStream, Opening, head_of, logged_before, objection,
};

/// For how many times the limit of a connection a server has to come back, before another one that
/// cannot go on where it ended is followed in its place.
const PATIENCE: u32 = 6;
/// Between two looks whether it has.
const POLL: Duration = Duration::from_secs(1);

/// One MySQL or MariaDB database.
#[derive(Debug)]
pub struct MysqlConnector {
    config: MysqlConfig,
    /// Known once the server has been asked.
    flavor: OnceLock<Flavor>,
    /// The log that was looked at last, or is being read.
    lineage: Mutex<Option<Lineage>>,
}

impl MysqlConnector {
    /// A connector that connects when it is asked something.
    pub fn new(config: MysqlConfig) -> Self {
        Self { config, flavor: OnceLock::new(), lineage: Mutex::new(None) }
    }

    fn follow(&self, lineage: &Lineage) {
        *self.lineage.lock().expect("nobody panics while it is held") = Some(lineage.clone());
    }

    /// Of the server alone whose log is followed, once one is: another host may come back.
    fn followed(&self) -> MysqlConfig {
        let lineage = self.lineage.lock().expect("nobody panics while it is held");
        lineage.as_ref().map_or_else(|| self.config.clone(), |server| self.config.of_server(server))
    }

    /// Connects to the server of the checkpoint, whichever of the hosts it is, and to another only
    /// where none is: the one that is named first may be the old primary of which it was promoted.
    async fn reach(&self, last: Option<&ResumePoint>) -> Result<SqlClient> {
        if let Some(last) = last.filter(|_| self.config.hosts.len() > 1) {
            match SqlClient::connect(&self.config.of_server(&last.lineage)).await {
                Err(error) if *error.fault() == Fault::Transient => {}
                reached => return reached,
            }
        }
        SqlClient::connect(&self.config).await
    }

    async fn facts(&self, mut client: SqlClient, capture: &Capture) -> Result<Facts> {
        let gathered = in_time(doctor::gather(&mut client, &self.config, capture)).await;
        let flavor = client.flavor();
        client.close().await;
        let facts = gathered.map_err(|error| self.failed(error, flavor))?;
        let _ = self.flavor.set(facts.server.flavor);
        Ok(facts)
    }

    fn failed(&self, error: mysql_async::Error, flavor: Flavor) -> Error {
        let doing = Doing::Asking("questions about the server and its log");
        sql_error(error, &doing, &self.config, flavor)
    }

    /// Whether the log behind a checkpoint is whole. Two things about it stand only in the log:
    /// when the file of the checkpoint was begun, and what a MariaDB has purged.
    async fn continuity(&self, facts: &Facts, last: Option<&ResumePoint>) -> Result<Continuity> {
        let Some(last) = last else { return self.beginning(facts).await };
        let now = doctor::coverage(facts, &last.capture);
        if let Some(reason) = Survey::coverage_change(&last.coverage, &now) {
            return Ok(Continuity::Broken { reason, from: None });
        }
        let files = facts.log.files.as_deref().unwrap_or_default();
        // Those that can be asked for.
        let mut files = files.iter().filter(|listed| !listed.is_gone());
        let lineage = lineage_of(facts)?;
        let place = LogPosition::from_position(&last.position).ok();
        // Another server's file of the same name says nothing.
        let file = place.filter(|place| {
            let is_its = last.lineage == lineage && !place.is_by_transactions();
            is_its && files.clone().any(|listed| listed.file == place.file)
        });
        let (mut created, mut purged) = (None, None);
        if let Some(LogPosition { file, .. }) = file {
            created = Some(self.head_of(&file, &lineage).await?.created);
        } else if let Some(oldest) = files.next().filter(|_| facts.server.is_mariadb()) {
            purged = self.head_of(&oldest.file, &lineage).await?.mariadb_before;
        }
        let server = doctor::server_facts(facts, created, purged)?;
        let found = continuity(Some(last), &server);
        let place = match &found {
            Continuity::Renumbered { position, .. } => LogPosition::from_position(position)?,
            Continuity::Intact => LogPosition::from_position(&last.position)?,
            _ => return Ok(found),
        };
        if place.is_by_transactions() {
            let session = Session::connect(&self.config.of_server(&lineage).beside()).await?;
            let partial = last.partial.as_ref();
            if let Some(reason) = objection(session, &place.gtids, partial).await? {
                return Ok(Continuity::Broken { reason, from: None });
            }
        }
        Ok(found)
    }

    /// Without a checkpoint: with the file that somebody named.
    async fn beginning(&self, facts: &Facts) -> Result<Continuity> {
        const FIRST_EVENT: u64 = 4;
        let Some(file) = &self.config.first_file else { return Ok(Continuity::New) };
        let files = facts.log.files.as_deref().unwrap_or_default();
        if !files.iter().any(|listed| listed.file == *file) {
            return Err(Error::operator(
                format!("first_file is {file}, which the server has not, or has purged"),
                "name a file that SHOW BINARY LOGS lists, or leave first_file out to begin at the \
                 end of the log",
            ));
        }
        let created = self.head_of(file, &lineage_of(facts)?).await?.created;
        // The head of the file says which transactions lie before it.
        let (file, gtids) = (file.clone(), Gtids::None);
        let place = LogPosition { file, offset: FIRST_EVENT, created, gtids, prepared: Vec::new() };
        Ok(Continuity::Adopted(place.to_position()))
    }

    /// The columns of the captured tables at a place of the log, if that will not say them.
    async fn layouts(
        &self,
        facts: &Facts,
        capture: &Capture,
        here: Mark,
    ) -> Result<Vec<TableLayout>> {
        if facts.log.row_metadata == "FULL" {
            return Ok(Vec::new());
        }
        let names = facts.tables.iter().map(|table| table.description.name.clone());
        let names: Vec<TableName> = names.collect();
        let fold_case = facts.server.fold_case;
        let config = self.config.of_server(&lineage_of(facts)?);
        let mut lookup = Lookup::new(&config, capture.clone(), fold_case);
        // Those that were altered just now are looked up again for their first row.
        let answers = lookup.all(&names, here).await?.into_values();
        let mut layouts: Vec<TableLayout> = answers.filter_map(Result::ok).collect();
        layouts.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(layouts)
    }

    /// Where the log ends.
    async fn head(&self, config: &MysqlConfig) -> Result<Mark> {
        let mut client = SqlClient::connect(config).await?;
        let head = in_time(doctor::head(&mut client)).await;
        let flavor = client.flavor();
        client.close().await;
        let head = head.map_err(|error| self.failed(error, flavor))?;
        head.map(|(file, offset)| Mark { file, offset }).ok_or_else(|| {
            Error::operator("the server has no binary log", "set log_bin and restart the server")
        })
    }

    async fn head_of(&self, file: &LogFile, lineage: &Lineage) -> Result<FileHead> {
        // Another dump under our number would end a stream that has one.
        let config = self.config.of_server(lineage).beside();
        head_of(Session::connect(&config).await?, file).await
    }

    /// Seconds until a file is removed, where files are kept for `kept` seconds behind their last
    /// change: when the next one was begun.
    async fn headroom(&self, facts: &Facts, kept: u64, next: Option<&ListedLog>) -> Result<u64> {
        // The file that is being written has its time still before it.
        let Some(next) = next else { return Ok(kept) };
        let lineage = lineage_of(facts)?;
        let ended = u64::from(self.head_of(&next.file, &lineage).await?.created);
        let mut session = Session::connect(&self.config.of_server(&lineage)).await?;
        let now = session.value("SELECT UNIX_TIMESTAMP()").await?;
        session.close().await;
        let now = now.and_then(|now| now.parse().ok()).unwrap_or(ended);
        Ok((ended + kept).saturating_sub(now))
    }

    /// The server as it is now.
    async fn look(&self, capture: &Capture, last: Option<&ResumePoint>) -> Result<Survey> {
        let facts = self.facts(self.reach(last).await?, capture).await?;
        let findings = doctor::findings(&facts, &self.config, capture);
        if !facts.server.is_supported() {
            // Nothing else was asked: a table that was not looked for is not missing.
            return Err(too_old(&findings));
        }
        // What keeps the log from being read is told with everything else that is wrong.
        let is_readable = findings.iter().all(|finding| finding.severity != Severity::Blocker);
        let continuity = match is_readable {
            true => self.continuity(&facts, last).await?,
            false => Continuity::New,
        };
        let head = facts.log.head.clone().map(|(file, offset)| LogPosition {
            file,
            offset,
            created: 0,
            gtids: Gtids::None,
            prepared: Vec::new(),
        });
        Ok(Survey {
            server: facts.server(),
            lineage: lineage_of(&facts)?,
            head: head.map_or_else(|| Position::new(""), |head| head.to_position()),
            coverage: doctor::coverage(&facts, capture),
            continuity,
            findings,
            tables: facts.tables.into_iter().map(|table| table.description).collect(),
            layouts: Vec::new(),
        })
    }
}

#[async_trait]
impl Connector for MysqlConnector {
    fn engine(&self) -> &'static str {
        match self.flavor.get() {
            Some(Flavor::MariaDb) => "mariadb",
            Some(Flavor::MySql) | None => "mysql",
        }
    }

    fn database(&self) -> &str {
        &self.config.database
    }

    fn covers(&self, position: &Position, target: &Position) -> bool {
        match (LogPosition::from_position(position), LogPosition::from_position(target)) {
            (Ok(position), Ok(target)) => position.covers(&target),
            _ => false,
        }
    }

    async fn survey(&self, capture: &Capture, last: Option<&ResumePoint>) -> Result<Survey> {
        let deadline = Instant::now() + self.config.connect_timeout * PATIENCE;
        loop {
            let survey = self.look(capture, last).await?;
            let is_another = last.is_some_and(|last| last.lineage != survey.lineage);
            let is_a_gap = matches!(survey.continuity, Continuity::Broken { .. });
            let may_come_back = is_another && self.config.hosts.len() > 1;
            // An old primary that has come back proves nothing, while the server that was promoted
            // in its place may only be about to start again.
            if !(is_a_gap && may_come_back) || Instant::now() >= deadline {
                self.follow(&survey.lineage);
                return Ok(survey);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// At the end of the log.
    async fn establish(&self, capture: &Capture) -> Result<ResumePoint> {
        let facts = self.facts(SqlClient::connect(&self.followed()).await?, capture).await?;
        let ServerFacts { identity, history, .. } = doctor::server_facts(&facts, None, None)?;
        let lineage = identity.to_lineage();
        let config = self.config.of_server(&lineage);
        let end = self.head(&config).await?;
        let gtids = named_before(&config, history, &end).await?;
        let created = self.head_of(&end.file, &lineage).await?.created;
        let layouts = self.layouts(&facts, capture, end.clone()).await?;
        // What was prepared before is not known; its end tells of every table.
        let Mark { file, offset } = end;
        let place = LogPosition { file, offset, created, gtids, prepared: Vec::new() };
        Ok(ResumePoint {
            lineage,
            position: place.to_position(),
            partial: None,
            capture: capture.clone(),
            coverage: doctor::coverage(&facts, capture),
            layouts,
        })
    }

    async fn open(&self, mut from: ResumePoint, capture: Capture) -> Result<Box<dyn ChangeStream>> {
        let mut place = LogPosition::from_position(&from.position)?;
        if LogIdentity::from_lineage(&from.lineage).is_none() {
            let what = format!("{} is not the log of a MySQL server", from.lineage);
            return Err(Error::definite(what));
        }
        // The one that was looked at, although another may have come to answer since.
        let config = self.config.of_server(&from.lineage);
        let mut session = Session::connect(&config).await?;
        self.follow(&from.lineage);
        let fold_case = session.value("SELECT @@lower_case_table_names").await?;
        let fold_case = fold_case.is_some_and(|names| names != "0");
        let same_file = !place.is_by_transactions()
            && session.lists(&place.file).await?
            && self.head_of(&place.file, &from.lineage).await?.created == place.created;
        let connection = session.value("SELECT CONNECTION_ID()").await?;
        let connection = connection.and_then(|number| number.parse().ok());
        session.claim().await?;
        let reader = match same_file {
            true => LogReader::from_place(session, &place.file, place.offset).await?,
            // The place is another server's, or its file is purged: the transactions tell where.
            false => {
                // What was not captured there is not captured here.
                place.prepared.retain(|known| known.offset == NOTHING_THERE);
                from.position = place.to_position();
                LogReader::behind(session, &place.gtids).await?
            }
        };
        let opening = Opening { from, capture, fold_case, same_file, connection };
        Ok(Box::new(MysqlStream::open(reader, opening, &config)?))
    }

    fn coordinate(&self, position: &Position) -> Result<u64> {
        let place = LogPosition::from_position(position)?;
        Ok(LogPosition::coordinate(&place.file, place.offset))
    }

    /// Nothing is kept for us; how long it is kept for everybody is a setting.
    async fn log_keeping(&self, place: Option<(&Lineage, &Position)>) -> Result<LogKeeping> {
        let config = place.map(|(lineage, _)| self.config.of_server(lineage));
        let client = SqlClient::connect(&config.unwrap_or_else(|| self.followed())).await?;
        let facts = self.facts(client, &Capture::default()).await?;
        let mut keeping = LogKeeping { is_limited: true, ..LogKeeping::default() };
        let Some((_, position)) = place else { return Ok(keeping) };
        let place = LogPosition::from_position(position)?;
        let files = facts.log.files.as_deref().unwrap_or_default();
        let Some(nth) = files.iter().position(|listed| listed.file == place.file) else {
            // Removed already, or of another server: a resumption tells which.
            return Ok(keeping);
        };
        let bytes = files[nth..].iter().map(|listed| listed.size).sum::<u64>();
        keeping.unread_bytes = Some(bytes.saturating_sub(place.offset));
        keeping.headroom_bytes = facts.log.size_limit.map(|limit| limit.saturating_sub(bytes));
        if let Some(kept) = doctor::kept_seconds(&facts) {
            let next = files.get(nth + 1);
            keeping.headroom_seconds = Some(self.headroom(&facts, kept, next).await?);
        }
        Ok(keeping)
    }

    async fn release_log(&self) -> Result<()> {
        Ok(())
    }

    async fn detach(&self) -> Result<Detached> {
        let mut session = Session::connect(&self.config).await?;
        session.unclaimed().await?;
        let account = session.value("SELECT CURRENT_USER()").await?.unwrap_or_default();
        let grants = session.query("SHOW GRANTS").await?.into_iter().flatten().flatten();
        let grants: Vec<String> = grants.collect();
        session.close().await;
        let done = vec!["the server keeps nothing for us: there is nothing to free".to_owned()];
        Ok(Detached { done, left: doctor::undo(&account, grants.iter().map(String::as_str)) })
    }

    async fn snapshot_reader(&self) -> Result<Box<dyn SnapshotReader>> {
        Ok(Box::new(MysqlSnapshot::connect(&self.followed()).await?))
    }
}

/// Whose log it is that facts were gathered of.
fn lineage_of(facts: &Facts) -> Result<Lineage> {
    Ok(doctor::server_facts(facts, None, None)?.identity.to_lineage())
}

/// The transactions before a place of the log that was asked for behind `history`, where the server
/// names them all. Where it may not, the head of its next file names those that have a name.
async fn named_before(config: &MysqlConfig, history: History, end: &Mark) -> Result<Gtids> {
    Ok(match history {
        History::MySql { mode: GtidMode::On, executed, .. } => {
            // Another dump under our number would end a stream that has one.
            Gtids::MySql(logged_before(&config.beside(), executed, end).await?)
        }
        History::MySql { .. } => Gtids::None,
        History::MariaDb { .. } => {
            let Mark { file, offset } = end;
            let mut session = Session::connect(config).await?;
            let sql = format!("SELECT BINLOG_GTID_POS('{file}', {offset})");
            let before = session.value(&sql).await?.unwrap_or_default();
            session.close().await;
            Gtids::MariaDb(before.parse().map_err(unreadable)?)
        }
    })
}

fn too_old(findings: &[Finding]) -> Error {
    let told = findings.iter().map(|Finding { check, found, wanted, fix, .. }| {
        Error::operator(format!("{check}: {found}; wanted: {wanted}"), fix)
    });
    Error::all(told).unwrap_or_else(|| Error::bug("a server is too old, and nothing says so"))
}

fn unreadable(error: crate::position::NotGtids) -> Error {
    Error::definite("the transactions before the end of the log cannot be read").because(error)
}
