use std::hash::{BuildHasher as _, RandomState};

use async_trait::async_trait;
use connector_api::{
    Capture, ChangeStream, Connector, Continuity, Error, Position, Result, ResumePoint, Survey,
};

use crate::config::{PostgresConfig, Slot};
use crate::doctor::{self, Facts};
use crate::position::{LogIdentity, Lsn};
use crate::session::{Session, SqlClient, sql_error};
use crate::stream::{Opening, PostgresStream};

/// One PostgreSQL database.
#[derive(Debug)]
pub struct PostgresConnector {
    config: PostgresConfig,
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
        Self { config }
    }

    fn slot(&self) -> Option<&str> {
        match &self.config.slot {
            Slot::Named(name) | Slot::Unconfirmed(name) => Some(name),
            Slot::Temporary => None,
        }
    }

    fn lineage(&self, facts: &Facts) -> connector_api::Lineage {
        let slot = self.slot().unwrap_or("temporary").to_owned();
        let (system_id, timeline) = (facts.system_id.clone(), facts.timeline);
        LogIdentity { system_id, timeline, slot }.to_lineage()
    }

    async fn facts(&self, capture: &Capture, last: Option<&ResumePoint>) -> Result<Facts> {
        let client = SqlClient::connect(&self.config).await?;
        let mut facts = doctor::gather(&client, &self.config, capture).await?;
        client.close().await;
        if !facts.may_replicate {
            return Ok(facts);
        }
        let known = last.and_then(|last| LogIdentity::from_lineage(&last.lineage));
        // The control file lags behind a promotion; a walsender knows the timeline at once.
        let mut session = Session::connect(&self.config).await?;
        let system = session.query("IDENTIFY_SYSTEM").await?;
        let cell = |place: usize| system.first().and_then(|row| row.get(place)?.clone());
        if let Some(timeline) = cell(1).and_then(|text| text.parse().ok()) {
            facts.timeline = timeline;
        }
        if known.is_some_and(|known| known.timeline != facts.timeline) {
            let history = session.query(&format!("TIMELINE_HISTORY {}", facts.timeline)).await?;
            let content = history.first().and_then(|row| row.get(1)?.clone()).unwrap_or_default();
            facts.forks = doctor::parse_forks(&content)?;
        }
        session.close();
        Ok(facts)
    }

    /// What the server sends of the captured tables, in words that change when that does.
    fn coverage(&self, facts: &Facts, capture: &Capture) -> String {
        let Some(publication) = &facts.publication else { return String::new() };
        let operations = ["insert", "update", "delete", "truncate"];
        let published = operations.iter().zip(publication.operations);
        let published: Vec<&str> = published.filter_map(|(name, on)| on.then_some(*name)).collect();
        let mut words = vec![format!("{}: {}", self.config.publication, published.join(" "))];
        if publication.via_root {
            words.push("via root".to_owned());
        }
        for table in publication.tables.iter().filter(|t| capture.columns_of(&t.name).is_some()) {
            let filter = table.filter.as_ref().map(|filter| format!(" where {filter}"));
            words.push(format!("{}{}", table.name, filter.unwrap_or_default()));
        }
        words.join(", ")
    }
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
        let facts = self.facts(capture, last).await?;
        let coverage = self.coverage(&facts, capture);
        if let Some(holder) = facts.slot.as_ref().and_then(|slot| slot.holder.clone()) {
            let slot = self.slot().unwrap_or_default();
            return Err(Error::held(format!("slot {slot} is in use by {holder}"), holder));
        }
        let continuity = match self.config.slot {
            Slot::Temporary => Continuity::New,
            _ => doctor::continuity(&facts, last, &coverage, self.slot()),
        };
        Ok(Survey {
            server: format!("PostgreSQL {}", facts.version),
            lineage: self.lineage(&facts),
            head: facts.head.to_position(),
            continuity,
            coverage,
            findings: doctor::findings(&facts, &self.config, capture),
            tables: facts.tables.into_iter().map(|table| table.description).collect(),
        })
    }

    async fn establish(&self, capture: &Capture) -> Result<ResumePoint> {
        let facts = self.facts(capture, None).await?;
        let position = match self.slot() {
            None => facts.head,
            Some(slot) => {
                let client = SqlClient::connect(&self.config).await?;
                let failed =
                    |error| sql_error(error, &self.config, &format!("creating slot {slot}"));
                if facts.slot.is_some() {
                    let drop = "SELECT pg_drop_replication_slot($1)";
                    client.execute(drop, &[&slot]).await.map_err(failed)?;
                }
                let create = "SELECT lsn::text
                    FROM pg_create_logical_replication_slot($1, 'pgoutput')";
                // Waits for transactions that are open now, however long they are.
                client.batch_execute("SET statement_timeout = 0").await.map_err(failed)?;
                let row = client.query_one(create, &[&slot]).await.map_err(failed)?;
                let lsn = row.get::<_, String>(0);
                client.close().await;
                lsn.parse().map_err(|error| Error::definite("an unreadable LSN").because(error))?
            }
        };
        Ok(ResumePoint {
            lineage: self.lineage(&facts),
            position: position.to_position(),
            partial: None,
            capture: capture.clone(),
            coverage: self.coverage(&facts, capture),
        })
    }

    async fn open(&self, from: ResumePoint, capture: Capture) -> Result<Box<dyn ChangeStream>> {
        let mut session = Session::connect(&self.config).await?;
        let mut opening = Opening { slot: String::new(), from, capture, confirms: true };
        match &self.config.slot {
            Slot::Named(name) => opening.slot.clone_from(name),
            Slot::Unconfirmed(name) => {
                opening.slot.clone_from(name);
                opening.confirms = false;
            }
            Slot::Temporary => {
                // Other processes may stream from the same server, on other hosts too.
                let chance = RandomState::new().hash_one(std::process::id());
                opening.slot = format!("tailstock_{chance:016x}");
                let create = format!(
                    "CREATE_REPLICATION_SLOT \"{}\" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
                    opening.slot
                );
                let made = session.query_patiently(&create).await?;
                if let Some(begins) = made.first().and_then(|row| row.get(1)?.clone()) {
                    opening.from.position = Position::new(begins);
                }
            }
        }
        Ok(Box::new(PostgresStream::open(session, opening, &self.config).await?))
    }
}
