use connector_api::{ChangeStream, Connector, Error, Position, Result, ResumePoint, Survey};
use tracing::{info, warn};

use super::{Surroundings, blocked, connect};
use crate::config::SellerConfig;
use crate::mapping::{Definition, Mapper, Plan, PlanError, SourceIdentity};
use crate::progress::{Decision, choose_resume};
use crate::shard::{Receipt, Submission};
use crate::sink::{ControlKind, ControlRecord, Part, Stored};
use crate::state::{Checkpoint, MappingRevision};
use crate::stock::encode::{Encoder, Records};
use crate::telemetry::now_us;

/// A seller that is ready to follow its log.
pub struct Start {
    /// The source.
    pub connector: Box<dyn Connector>,
    /// Open behind `checkpoint`.
    pub stream: Box<dyn ChangeStream>,
    /// With everything it remembered.
    pub mapper: Mapper,
    /// As it is stored.
    pub checkpoint: Checkpoint,
    /// The end of the log when the source was looked at.
    pub head: Position,
}

/// Brings a seller from what is stored to an open stream: survey, decide, make the checkpoint
/// durable, load the cached rows, open. The log is never read before its starting point is stored.
pub async fn start(surroundings: &Surroundings, stored: Stored) -> Result<Start> {
    let config = &surroundings.config;
    let (seller, source) = (config.seller.as_str(), config.source.name.as_str());
    let remembered = match &stored.checkpoint {
        Some(text) => Some(Checkpoint::decode(text, seller, source).map_err(unusable)?),
        None => None,
    };
    let connector = connect(config)?;
    let wanted = Plan::tables_of(&config.definitions);
    let point = remembered.as_ref().map(|checkpoint| &checkpoint.point);
    let survey = connector.survey(&wanted, point).await?;
    report(&survey, config);
    if let Some(error) = blocked(&survey.findings) {
        return Err(error);
    }
    let mapping = revision(remembered.as_ref(), &config.mapping_hash);
    let plan = compile(&config.definitions, &survey, &mapping, config)?;
    let decided = Decided::new(connector.as_ref(), remembered, &survey, &plan, mapping).await?;
    let Decided { checkpoint, control } = decided;
    let capture = plan.capture();
    let identity = SourceIdentity {
        seller: config.seller.clone(),
        source: config.source.name.clone(),
        epoch: checkpoint.epoch,
    };
    let encoder =
        Encoder::new(&config.seller, &config.source.name, connector.engine(), connector.database());
    let mut mapper = Mapper::new(identity, encoder, plan);
    for row in &stored.rows {
        let Some(value) = &row.value else { continue };
        mapper.load(&row.table, &row.pk, value).map_err(|what| {
            Error::operator(what, "restore the store from a backup, or remove it to start anew")
        })?;
    }
    commit_first(surroundings, &checkpoint, control).await?;
    let stream = connector.open(checkpoint.point.clone(), capture).await?;
    Ok(Start { connector, stream, mapper, checkpoint, head: survey.head })
}

/// What the beginning of a stream leaves in the store.
struct Decided {
    checkpoint: Checkpoint,
    control: Vec<ControlRecord>,
}

impl Decided {
    async fn new(
        connector: &dyn Connector,
        remembered: Option<Checkpoint>,
        survey: &Survey,
        plan: &Plan,
        mapping: MappingRevision,
    ) -> Result<Self> {
        let capture = plan.capture();
        let at = |position: Position| ResumePoint {
            lineage: survey.lineage.clone(),
            position,
            partial: None,
            capture: capture.clone(),
            coverage: survey.coverage.clone(),
        };
        let decision = choose_resume(remembered.as_ref(), survey.continuity.clone());
        let mut control = Vec::new();
        let mut record = |kind, value: serde_json::Value| {
            control.push(ControlRecord { kind, at_us: now_us(), value: value.to_string() });
        };
        let checkpoint = match (decision, remembered) {
            (Decision::Resume, Some(mut checkpoint)) => {
                if checkpoint.point.partial.is_none() {
                    checkpoint.recapture(capture.clone());
                }
                checkpoint.mapping = mapping;
                checkpoint
            }
            (Decision::NewEpoch { reason }, Some(mut checkpoint)) => {
                let lineage = survey.lineage.clone();
                let point = ResumePoint { lineage, ..checkpoint.point.clone() };
                checkpoint.begin_epoch(point);
                warn!(reason, epoch = checkpoint.epoch, "coordinates start anew");
                let value = serde_json::json!({ "epoch": checkpoint.epoch, "reason": reason });
                record(ControlKind::EpochBumped, value);
                checkpoint
            }
            (Decision::Gap { reason, from }, Some(mut checkpoint)) => {
                let lost = checkpoint.point.position.clone();
                let point = match from {
                    Some(position) => at(position),
                    None => at(connector.establish(&capture).await?.position),
                };
                let to = point.position.clone();
                checkpoint.begin_epoch(point);
                checkpoint.mapping = mapping;
                for table in &capture.tables {
                    checkpoint.dirty_tables.insert(table.name.to_string(), reason.clone());
                }
                warn!(reason, from = %lost, to = %to, "changes may be missing: gap");
                let value = serde_json::json!({
                    "from": lost.as_str(), "to": to.as_str(), "reason": reason,
                });
                record(ControlKind::Gap, value);
                let value = serde_json::json!({ "epoch": checkpoint.epoch, "reason": reason });
                record(ControlKind::EpochBumped, value);
                checkpoint
            }
            (Decision::Adopt(position), remembered) => {
                debug_assert!(remembered.is_none(), "a checkpoint is never adopted over");
                info!(%position, "adopting the slot that exists");
                Checkpoint::first(who.0, who.1, at(position), mapping)
            }
            (_, _) => {
                let position = connector.establish(&capture).await?.position;
                info!(%position, "first start: at the current end of the log");
                Checkpoint::first(who.0, who.1, at(position), mapping)
            }
        };
        Ok(Self { checkpoint, control })
    }
}

/// Makes the starting point durable before the first row is read.
async fn commit_first(
    surroundings: &Surroundings,
    checkpoint: &Checkpoint,
    control: Vec<ControlRecord>,
) -> Result<()> {
    let part = Part {
        seller: surroundings.config.seller.clone(),
        source: surroundings.config.source.name.clone(),
        records: Records::default(),
        control,
        dead_letters: Vec::new(),
        rows: Vec::new(),
        checkpoint: Some(checkpoint.encode()),
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

fn compile(
    definitions: &[Definition],
    survey: &Survey,
    mapping: &MappingRevision,
    config: &SellerConfig,
) -> Result<Plan> {
    Plan::compile(definitions, &survey.tables, mapping.number).map_err(|errors| {
        let place = |error: &PlanError| {
            let place = config.place_of(error.definition, error.key);
            format!("{place}: {}: {}", error.key, error.found)
        };
        let what: Vec<String> = errors.iter().map(place).collect();
        let fix: Vec<&str> = errors.iter().map(|error| error.fix.as_str()).collect();
        Error::operator(what.join("\n"), fix.join("\n"))
    })
}

fn report(survey: &Survey, config: &SellerConfig) {
    let (seller, source) = (config.seller.as_str(), config.source.name.as_str());
    info!(seller, source, server = %survey.server, "connected");
    for finding in &survey.findings {
        if finding.severity == connector_api::Severity::Warning {
            let (check, found, fix) = (&finding.check, &finding.found, &finding.fix);
            warn!(seller, source, check, found, fix, "the server could serve better");
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
