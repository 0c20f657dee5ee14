use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;

use async_trait::async_trait;
use connector_api::{
    Capture, ChangeStream, Connector, Continuity, Detached, Error, Lineage, LogKeeping, Position,
    Result, ResumePoint, SnapshotReader, Survey,
};

use crate::config::{PostgresConfig, Slot};
use crate::doctor::{self, Facts, System};
use crate::position::{LogIdentity, Lsn};
use crate::session::{Session, SqlClient};
use crate::snapshot::TableReader;
use crate::stream::{Opening, PostgresStream};

/// One PostgreSQL database.
#[derive(Debug)]
pub struct PostgresConnector {
    config: PostgresConfig,
    /// The log that is being read, once one is.
    lineage: Mutex<Option<Lineage>>,
}

/// The slot of one source of one seller: lower case, digits and underscores, at most 63 bytes. A
/// name that had to be changed to fit ends in a hash of the original.
pub fn slot_name(process: &str, seller: &str, source: &str) -> String {
    const LIMIT: usize = 63;
    let wanted = format!("{process}_{seller}_{source}");
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    // An underscore inside a name could stand for the one between two names.
    let ambiguous = [process, seller, source].iter().any(|name| name.contains('_'));
    if !ambiguous && wanted.len() <= LIMIT && wanted.chars().all(allowed) {
        return wanted;
    }
    // FNV-1a: the name must not change with a library.
    let original = format!("{process}\0{seller}\0{source}");
    let hash = original.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let kept = wanted.chars().map(|c| c.to_ascii_lowercase());
    let kept: String = kept.map(|c| if allowed(c) { c } else { '_' }).take(46).collect();
    format!("{kept}_{hash:016x}")
}

impl PostgresConnector {
    /// A connector that connects when it is asked something.
    pub fn new(config: PostgresConfig) -> Self {
        Self { config, lineage: Mutex::new(None) }
    }

    fn slot(&self) -> Option<&str> {
        match &self.config.slot {
            Slot::Named(name) | Slot::Unconfirmed(name) => Some(name),
            Slot::Temporary => None,
        }
    }

    fn lineage(&self, facts: &Facts) -> Lineage {
        let system = facts.system.clone().unwrap_or_default();
        let slot = self.slot().unwrap_or("temporary").to_owned();
        LogIdentity { system_id: system.id, timeline: system.timeline, slot }.to_lineage()
    }

    async fn facts(&self, capture: &Capture, last: Option<&ResumePoint>) -> Result<Facts> {
        let client = SqlClient::connect(&self.config).await?;
        let gathering = doctor::gather(&client, &self.config, capture);
        let mut facts = client.in_time(gathering).await?;
        let looking = doctor::former(&client, &self.config, &facts, last);
        facts.former = client.in_time(looking).await?;
        client.close().await;
        let senders = &facts.server.senders;
        if senders.is_full() && facts.slot.is_some() {
            // It has worked before, and may again in a moment: the server has yet to notice that
            // the client of one of them, perhaps we ourselves, has gone.
            return Err(Error::transient(format!(
                "all {} connections that max_wal_senders allows are in use",
                senders.limit
            )));
        }
        // What a walsender would be refused for is told with everything else that is wrong.
        if facts.server.may_replicate && !senders.is_full() {
            facts.system = Some(self.system(last).await?);
        }
        Ok(facts)
    }

    /// Asks a walsender: the control file lags behind a promotion.
    async fn system(&self, last: Option<&ResumePoint>) -> Result<System> {
        let mut session = Session::connect(&self.config).await?;
        let (id, timeline) = identify(&mut session).await?;
        let mut system = System { id, timeline, forks: Vec::new() };
        let known = last.and_then(|last| LogIdentity::from_lineage(&last.lineage));
        if known.is_some_and(|known| known.timeline != timeline) && timeline > 1 {
            let history = session.query(&format!("TIMELINE_HISTORY {timeline}")).await?;
            let content = history.first().and_then(|row| row.get(1)?.clone()).unwrap_or_default();
            system.forks = doctor::parse_forks(&content)?;
        }
        session.close().await;
        Ok(system)
    }

    fn coverage(&self, facts: &Facts, capture: &Capture) -> String {
        doctor::coverage(facts, &self.config.publication, capture)
    }

    /// What a survey proved still holds on the connection that is to stream. Several hosts, a
    /// failover or another hand may have come in between; the server itself would begin behind
    /// what is missing without a word.
    async fn verify(&self, session: &mut Session, slot: &str, from: &ResumePoint) -> Result<()> {
        let remembered = LogIdentity::from_lineage(&from.lineage).ok_or_else(|| {
            Error::definite(format!("{} is not the log of a PostgreSQL server", from.lineage))
        })?;
        let (system_id, timeline) = identify(session).await?;
        let changed =
            |what: String| Err(Error::transient(format!("{what} since it was looked at")));
        if (system_id, timeline) != (remembered.system_id, remembered.timeline) {
            return changed("another server, or another timeline, has come to answer".to_owned());
        }
        let sql = format!(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = {}",
            doctor::literal(slot)
        );
        let rows = session.query(&sql).await?;
        let confirmed = rows.first().and_then(|row| row.first()?.as_ref()?.parse::<Lsn>().ok());
        match confirmed {
            None => changed(format!("slot {slot} has gone")),
            Some(confirmed) if confirmed > Lsn::from_position(&from.position)? => {
                changed(format!("slot {slot} was moved to {confirmed}"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The system's number and its timeline.
async fn identify(session: &mut Session) -> Result<(String, u32)> {
    let rows = session.query("IDENTIFY_SYSTEM").await?;
    let cell = |place: usize| rows.first().and_then(|row| row.get(place)?.clone());
    let timeline = cell(1).and_then(|text| text.parse().ok());
    cell(0).zip(timeline).ok_or_else(|| Error::definite("the server cannot say which one it is"))
}

#[async_trait]
impl Connector for PostgresConnector {
    fn engine(&self) -> &'static str {
        "postgresql"
    }

    fn database(&self) -> &str {
        &self.config.database
    }

    fn covers(&self, position: &Position, target: &Position) -> bool {
        match (Lsn::from_position(position), Lsn::from_position(target)) {
            (Ok(position), Ok(target)) => position >= target,
            _ => false,
        }
    }

    async fn survey(&self, capture: &Capture, last: Option<&ResumePoint>) -> Result<Survey> {
        let mut facts = self.facts(capture, last).await?;
        if let Some(holder) = facts.slot.as_ref().and_then(|slot| slot.holder.as_ref()) {
            let (slot, who) = (self.slot().unwrap_or_default(), &holder.described);
            let ours = self.config.installation.is_some();
            if !ours || holder.application != self.config.shown_name() {
                return Err(Error::held(format!("slot {slot} is in use by {who}"), who));
            }
            let client = SqlClient::connect(&self.config).await?;
            let ending = doctor::end_predecessor(&client, &self.config, slot, holder);
            client.in_time(ending).await?;
            client.close().await;
            facts = self.facts(capture, last).await?;
        }
        let continuity = match self.slot() {
            None => Continuity::New,
            Some(slot) => doctor::continuity(&facts, &self.config, slot, last)?,
        };
        Ok(Survey {
            server: format!("PostgreSQL {}", facts.server.version),
            lineage: self.lineage(&facts),
            head: facts.server.head.to_position(),
            continuity,
            coverage: self.coverage(&facts, capture),
            findings: doctor::findings(&facts, &self.config, capture),
            layouts: doctor::layouts(&facts),
            tables: facts.tables.into_iter().map(|table| table.description).collect(),
        })
    }

    async fn establish(&self, capture: &Capture) -> Result<ResumePoint> {
        let facts = self.facts(capture, None).await?;
        let position = match self.slot() {
            None => facts.server.head,
            Some(slot) => {
                let client = SqlClient::connect(&self.config).await?;
                let position = doctor::establish(&client, &self.config, &facts, slot).await?;
                client.close().await;
                position
            }
        };
        Ok(ResumePoint {
            lineage: self.lineage(&facts),
            position: position.to_position(),
            partial: None,
            capture: capture.clone(),
            coverage: self.coverage(&facts, capture),
            layouts: doctor::layouts(&facts),
        })
    }

    async fn open(&self, from: ResumePoint, capture: Capture) -> Result<Box<dyn ChangeStream>> {
        let mut session = Session::connect(&self.config).await?;
        *self.lineage.lock().expect("nobody panics while it is held") = Some(from.lineage.clone());
        let slot = String::new();
        let mut opening = Opening { slot, from, believed: None, capture, confirms: true };
        match &self.config.slot {
            Slot::Named(name) | Slot::Unconfirmed(name) => {
                self.verify(&mut session, name, &opening.from).await?;
                opening.slot.clone_from(name);
                opening.confirms = matches!(self.config.slot, Slot::Named(_));
            }
            Slot::Temporary => {
                // Other processes may stream from the same server, on other hosts too.
                let chance = RandomState::new().hash_one(std::process::id());
                opening.slot = format!("tailstock_{chance:016x}");
                let create = format!(
                    "CREATE_REPLICATION_SLOT \"{}\" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
                    opening.slot
                );
                let making = Box::pin(session.query_patiently(&create));
                let made = doctor::made(&self.config, making).await?;
                if let Some(begins) = made.first().and_then(|row| row.get(1)?.clone()) {
                    let begins = Position::new(begins);
                    let asked = std::mem::replace(&mut opening.from.position, begins);
                    opening.believed = Some(asked);
                }
            }
        }
        Ok(Box::new(PostgresStream::open(session, opening, &self.config).await?))
    }

    fn coordinate(&self, position: &Position) -> Result<u64> {
        Lsn::from_position(position).map(|lsn| lsn.0)
    }

    async fn log_keeping(&self, _: Option<(&Lineage, &Position)>) -> Result<LogKeeping> {
        let client = SqlClient::connect(&self.config).await?;
        let keeping = client.in_time(doctor::log_keeping(&client, &self.config)).await?;
        client.close().await;
        Ok(keeping)
    }

    async fn release_log(&self) -> Result<()> {
        let client = SqlClient::connect(&self.config).await?;
        let nothing = Capture::default();
        let facts = client.in_time(doctor::gather(&client, &self.config, &nothing)).await?;
        client.in_time(doctor::release(&client, &self.config, &facts)).await?;
        client.close().await;
        Ok(())
    }

    async fn detach(&self) -> Result<Detached> {
        let client = SqlClient::connect(&self.config).await?;
        let nothing = Capture::default();
        let facts = client.in_time(doctor::gather(&client, &self.config, &nothing)).await?;
        let detached = client.in_time(doctor::detach(&client, &self.config, &facts)).await?;
        client.close().await;
        Ok(detached)
    }

    async fn snapshot_reader(&self) -> Result<Box<dyn SnapshotReader>> {
        // Of the server alone whose log is being read: another host may have come back.
        let server = self.lineage.lock().expect("nobody panics while it is held").clone();
        let config = PostgresConfig { server, ..self.config.clone() };
        Ok(Box::new(TableReader::connect(&config).await?))
    }
}

#[cfg(test)]
mod tests;
