use std::collections::BTreeSet;
use std::sync::Arc;

use connector_api::{
    Batch, Capture, ChangeStream, Connector, Error, Finding, Position, Result, ResumePoint,
    Severity, Survey,
};
use tracing::{info, warn};

use super::snapshot::{incomplete, mark_due};
use super::{Keep, Surroundings, blockers, connect};
use crate::config::SellerConfig;
use crate::mapping::{Mapper, Plan, PlanError, SourceIdentity};
use crate::progress::{Decision, choose_resume};
use crate::shard::{Receipt, Submission};
use crate::sink::{ControlKind, ControlRecord, Part, Remains, Stored, StoredRows};
use crate::state::{Checkpoint, MappingRevision, Recalled};
use crate::stock::encode::Encoder;
use crate::telemetry::now_us;

/// A seller that is ready to follow its log.
pub struct Start {
    /// The seller's file for the tables that are there: a definition for each of them.
    pub config: SellerConfig,
    /// The source.
    pub connector: Arc<dyn Connector>,
    /// Open behind `checkpoint`.
    pub stream: Box<dyn ChangeStream>,
    /// With everything it remembered.
    pub mapper: Mapper,
    /// As it is stored.
    pub checkpoint: Checkpoint,
    /// The end of the log when the source was looked at.
    pub head: Position,
    /// What is captured once the transaction that is open in `checkpoint` is complete.
    pub next: Option<NextCapture>,
}

/// What is captured behind an open transaction, which is finished under the capture its changes
/// were counted under.
pub struct NextCapture {
    behind: String,
    capture: Capture,
    coverage: String,
}

impl NextCapture {
    /// Moves `checkpoint` to the end of `batch`, and to this capture if the transaction has ended
    /// there. Returns whether it has.
    pub fn reached(&self, checkpoint: &mut Checkpoint, batch: &Batch) -> bool {
        let open = batch.partial().is_some_and(|partial| partial.txid == self.behind);
        if !open {
            checkpoint.complete(batch.end());
            checkpoint.recapture(self.capture.clone(), self.coverage.clone());
        }
        !open
    }
}

/// Looks whether a seller that has never been followed could be, and changes nothing anywhere.
pub async fn preflight(config: &SellerConfig, keep: &Keep) -> Result<()> {
    let connector = connect(&config.source, keep)?;
    let (config, survey) = look(connector.as_ref(), config, None).await?;
    compile(&survey, &revision(None, &config.mapping_hash), &config).map(drop)
}

/// The source as it is, and the file for the tables that are there now.
async fn look(
    connector: &dyn Connector,
    config: &SellerConfig,
    point: Option<&ResumePoint>,
) -> Result<(SellerConfig, Survey)> {
    let survey = connector.survey(&Plan::tables_of(&config.definitions), point).await?;
    if !config.has_patterns() {
        return Ok((config.clone(), survey));
    }
    let config = config.of_tables(&survey.tables).map_err(|problems| {
        let problems = problems.into_iter();
        let problems = problems.map(|problem| Error::operator(problem.to_string(), problem.fix));
        // What the server says of the patterns themselves is among the problems.
        let others = survey.findings.iter().filter(|one| !one.check.starts_with("table"));
        let others: Vec<Finding> = others.cloned().collect();
        let all = Error::all(problems.chain(blockers(&others)));
        all.unwrap_or_else(|| Error::bug("patterns that do not fit have no problems"))
    })?;
    // What is said of the tables that are meant, and of no others.
    let survey = connector.survey(&Plan::tables_of(&config.definitions), point).await?;
    Ok((config, survey))
}

/// Whether the server of a seller answers.
pub async fn reach(config: &SellerConfig, keep: &Keep) -> Result<()> {
    let connector = connect(&config.source, keep)?;
    connector.survey(&Plan::tables_of(&config.definitions), None).await.map(drop)
}

/// Brings a seller from what is stored to an open stream: survey, decide, make the checkpoint
/// durable, load the cached rows, open. The log is never read before its starting point is stored.
pub async fn start(surroundings: &Surroundings, mut stored: Stored) -> Result<Start> {
    let written = &surroundings.config;
    let (seller, source) = (written.seller.as_str(), written.source.name.as_str());
    let recalled = recall(surroundings, &mut stored).await?;
    let Recall { checkpoint: remembered, epoch, remains } = recalled;
    let connector = connect(&written.source, &surroundings.keep)?;
    let point = remembered.as_ref().map(|checkpoint| &checkpoint.point);
    let (config, survey) = look(connector.as_ref(), written, point).await?;
    report(&survey, &config);
    let mapping = revision(remembered.as_ref(), &config.mapping_hash);
    let plan = compile(&survey, &mapping, &config)?;
    let decider = Decider {
        connector: connector.as_ref(),
        survey: &survey,
        capture: plan.capture(),
        mapping,
        who: (seller, source),
        epoch,
        remains,
        control: Vec::new(),
    };
    let is_first = remembered.is_none();
    let (mut checkpoint, control) = decider.decide(remembered).await?;
    mark_due(&mut checkpoint, &plan, &config, is_first);
    let next = checkpoint.point.partial.as_ref().map(|partial| NextCapture {
        behind: partial.txid.clone(),
        capture: plan.capture(),
        coverage: survey.coverage.clone(),
    });
    let capture = plan.capture();
    let identity = SourceIdentity {
        seller: config.seller.clone(),
        source: config.source.name.clone(),
        epoch: checkpoint.epoch,
    };
    let encoder =
        Encoder::new(&config.seller, &config.source.name, connector.engine(), connector.database());
    let mut mapper = Mapper::new(identity, encoder, plan);
    remember(&mut mapper, stored.rows.as_mut()).await?;
    // Rows may have outlived the checkpoint that counted the snapshots they were seen during.
    checkpoint.snapshots = checkpoint.snapshots.max(mapper.last_snapshot());
    let incomplete = incomplete(&checkpoint, mapper.plan(), &config);
    mapper.set_incomplete(&incomplete);
    commit_first(surroundings, &checkpoint, control).await?;
    let stream = connector.open(checkpoint.point.clone(), capture).await?;
    Ok(Start { config, connector, stream, mapper, checkpoint, head: survey.head, next })
}

/// Takes back the cached rows.
async fn remember(mapper: &mut Mapper, rows: &mut dyn StoredRows) -> Result<()> {
    loop {
        let piece = rows.next().await?;
        if piece.is_empty() {
            return Ok(());
        }
        for row in &piece {
            let Some(value) = &row.value else { continue };
            mapper.load(&row.table, &row.pk, value).map_err(|what| {
                let fix = "restore the store from a backup; or take the seller out of it \
                           (tailstock forget SELLER), so that it begins anew";
                Error::operator(what, fix)
            })?;
        }
    }
}

/// What is known of a source before its server is asked.
struct Recall {
    checkpoint: Option<Checkpoint>,
    /// Of a first checkpoint, if this is to be one.
    epoch: u32,
    /// What is published although nothing is remembered.
    remains: Option<Remains>,
}

async fn recall(surroundings: &Surroundings, stored: &mut Stored) -> Result<Recall> {
    let config = &surroundings.config;
    let (seller, source) = (&config.seller, &config.source.name);
    let first = |epoch, remains| Recall { checkpoint: None, epoch, remains };
    let Some(text) = &stored.checkpoint else {
        let remains = surroundings.state.remains(seller, source).await?;
        return Ok(first(remains.as_ref().map_or(1, |remains| remains.epoch + 1), remains));
    };
    match Recalled::decode(text, seller.as_str(), source.as_str()).map_err(unusable)? {
        Recalled::Checkpoint(mut checkpoint) => {
            checkpoint.doubt(&stored.lacking);
            Ok(Recall { checkpoint: Some(*checkpoint), epoch: 1, remains: None })
        }
        Recalled::Forgotten { epoch } => Ok(first(epoch + 1, None)),
    }
}

/// Makes the checkpoint from which a stream begins.
struct Decider<'a> {
    connector: &'a dyn Connector,
    survey: &'a Survey,
    capture: Capture,
    mapping: MappingRevision,
    who: (&'a str, &'a str),
    /// Of the first checkpoint, if this is one.
    epoch: u32,
    /// What is published although nothing is remembered.
    remains: Option<Remains>,
    control: Vec<ControlRecord>,
}

/// Why nothing can be relied on of a source that has published and has no checkpoint.
const FORGOTTEN: &str = "its checkpoint is gone from the store";

impl Decider<'_> {
    async fn decide(
        mut self,
        remembered: Option<Checkpoint>,
    ) -> Result<(Checkpoint, Vec<ControlRecord>)> {
        let decision = choose_resume(remembered.as_ref(), self.survey.continuity.clone());
        let checkpoint = match (decision, remembered) {
            (Decision::Resume, Some(checkpoint)) => self.resumed(checkpoint),
            (Decision::NewEpoch { reason, position }, Some(mut checkpoint)) => {
                let lineage = self.survey.lineage.clone();
                let point = ResumePoint { lineage, position, ..checkpoint.point.clone() };
                checkpoint.begin_epoch(point);
                self.epoch_bumped(&checkpoint, &reason);
                self.resumed(checkpoint)
            }
            (Decision::Gap { reason, from }, Some(checkpoint)) => {
                let to = match from {
                    Some(position) => self.at(position),
                    None => self.establish().await?,
                };
                self.gap(checkpoint, to, &reason)
            }
            (Decision::Adopt(position), _) => {
                info!(%position, "adopting the place that exists");
                self.first(self.at(position))
            }
            (_, _) => {
                let point = self.establish().await?;
                let position = &point.position;
                info!(%position, "first start: at the current end of the log");
                self.first(point)
            }
        };
        Ok((checkpoint, self.control))
    }

    async fn establish(&self) -> Result<ResumePoint> {
        let made = self.connector.establish(&self.capture).await?;
        Ok(ResumePoint { layouts: made.layouts, ..self.at(made.position) })
    }

    fn at(&self, position: Position) -> ResumePoint {
        ResumePoint {
            lineage: self.survey.lineage.clone(),
            position,
            partial: None,
            capture: self.capture.clone(),
            coverage: self.survey.coverage.clone(),
            layouts: self.survey.layouts.clone(),
        }
    }

    fn first(&mut self, point: ResumePoint) -> Checkpoint {
        let (seller, source) = self.who;
        let mut checkpoint = Checkpoint::first(seller, source, point, self.mapping.clone());
        checkpoint.epoch = self.epoch;
        match self.remains.take() {
            Some(remains) => self.lost(&mut checkpoint, remains.tables),
            None if self.epoch > 1 => {
                self.epoch_bumped(&checkpoint, "it was forgotten, and begins anew");
            }
            None => {}
        }
        checkpoint
    }

    /// Where it was is not known, nor what has happened since.
    fn lost(&mut self, checkpoint: &mut Checkpoint, published: BTreeSet<String>) {
        let captured = self.capture.tables.iter().map(|table| table.name.to_string());
        for table in captured.chain(published) {
            checkpoint.taint(table, FORGOTTEN.to_owned());
        }
        self.tell_gap("", checkpoint, FORGOTTEN);
    }

    fn tell_gap(&mut self, from: &str, checkpoint: &Checkpoint, reason: &str) {
        let (seller, source) = self.who;
        let to = checkpoint.point.position.as_str();
        warn!(seller, source, reason, %from, %to, "changes may be missing: gap");
        let value = serde_json::json!({ "from": from, "to": to, "reason": reason });
        self.record(ControlKind::Gap, &value);
        self.epoch_bumped(checkpoint, reason);
    }

    /// An open transaction is finished under the capture its changes were counted under.
    fn resumed(&self, mut checkpoint: Checkpoint) -> Checkpoint {
        checkpoint.point.acquaint(&self.survey.layouts);
        if checkpoint.point.partial.is_none() {
            checkpoint.recapture(self.capture.clone(), self.survey.coverage.clone());
        }
        checkpoint.mapping = self.mapping.clone();
        checkpoint
    }

    fn gap(&mut self, mut checkpoint: Checkpoint, to: ResumePoint, reason: &str) -> Checkpoint {
        let from = checkpoint.point.position.clone();
        checkpoint.begin_epoch(to);
        checkpoint.mapping = self.mapping.clone();
        for table in &self.capture.tables {
            checkpoint.taint(table.name.to_string(), reason.to_owned());
        }
        self.tell_gap(from.as_str(), &checkpoint, reason);
        checkpoint
    }

    fn epoch_bumped(&mut self, checkpoint: &Checkpoint, reason: &str) {
        let value = serde_json::json!({ "epoch": checkpoint.epoch, "reason": reason });
        self.record(ControlKind::EpochBumped, &value);
    }

    fn record(&mut self, kind: ControlKind, value: &serde_json::Value) {
        let value = value.to_string();
        self.control.push(ControlRecord { kind, at_us: now_us(), value });
    }
}

/// Makes the starting point durable before the first row is read.
async fn commit_first(
    surroundings: &Surroundings,
    checkpoint: &Checkpoint,
    control: Vec<ControlRecord>,
) -> Result<()> {
    let config = &surroundings.config;
    let part = Part {
        control,
        checkpoint: Some(checkpoint.encode()),
        ..Part::empty(config.seller.clone(), config.source.name.clone())
    };
    let (receipts, mut receipt) = tokio::sync::mpsc::unbounded_channel();
    surroundings.shard.submit(Submission { part, number: 1, receipts })?;
    match receipt.recv().await {
        Some(Receipt { .. }) => Ok(()),
        None => Err(Error::transient("the sink is being opened anew")),
    }
}

/// The revision of the mapping: the stored one, or one more when the mapping has changed.
fn revision(remembered: Option<&Checkpoint>, hash: &str) -> MappingRevision {
    let number = match remembered {
        None => 1,
        Some(checkpoint) if checkpoint.mapping.hash == hash => checkpoint.mapping.number,
        Some(checkpoint) => checkpoint.mapping.number + 1,
    };
    MappingRevision { number, hash: hash.to_owned() }
}

/// The mapping for the tables that are there, or everything that keeps the seller from being
/// followed. What is wrong with a table or a column that the mapping names is told with its file
/// and line, once.
fn compile(survey: &Survey, mapping: &MappingRevision, config: &SellerConfig) -> Result<Plan> {
    let plan = Plan::compile(&config.definitions, &survey.tables, mapping.number);
    let errors = plan.as_ref().err().map_or(&[][..], Vec::as_slice);
    let of_table = |error: &PlanError, finding: &Finding| {
        error.missing.as_ref().is_some_and(|table| finding.check == format!("table {table}"))
    };
    let of_mapping = errors.iter().map(|error| {
        let place = config.place_of(error.definition, &error.key);
        // The server knows what other tables there are.
        let known = survey.findings.iter().find(|finding| of_table(error, finding));
        let fix = known.map_or(&error.fix, |finding| &finding.fix);
        Error::operator(format!("{place}: {}", error.found), fix)
    });
    let is_told = |finding: &Finding| {
        let of_column = finding.check.starts_with("column ") && !errors.is_empty();
        of_column || errors.iter().any(|error| of_table(error, finding))
    };
    let others: Vec<Finding> =
        survey.findings.iter().filter(|finding| !is_told(finding)).cloned().collect();
    match (Error::all(of_mapping.chain(blockers(&others))), plan) {
        (None, Ok(plan)) => Ok(plan),
        (Some(error), _) => Err(error),
        (None, Err(_)) => Err(Error::bug("a mapping that cannot be compiled has no errors")),
    }
}

fn report(survey: &Survey, config: &SellerConfig) {
    let (seller, source) = (config.seller.as_str(), config.source.name.as_str());
    info!(seller, source, server = %survey.server, "connected");
    for finding in &survey.findings {
        let (check, found, fix) = (&finding.check, &finding.found, &finding.fix);
        match finding.severity {
            // Told with what else keeps the seller from being followed.
            Severity::Blocker => {}
            Severity::Warning => {
                warn!(seller, source, check, found, fix, "the server could serve better");
            }
            Severity::Note => info!(seller, source, check, found, fix, "worth knowing"),
        }
    }
}

fn unusable(error: crate::state::UnusableCheckpoint) -> Error {
    use crate::state::UnusableCheckpoint as Unusable;
    let fix = match &error {
        Unusable::Newer { .. } => "run the version that wrote it, or a later one",
        Unusable::Damaged(_) | Unusable::Misplaced { .. } => {
            "restore the store from a backup; without its checkpoint a gap cannot be excluded"
        }
    };
    Error::operator(error.to_string(), fix).because(error)
}
