use std::time::Duration;

use connector_api::{Fault, Partial, Result};

use super::reader::{Arrived, LogReader};
use super::scan::Mark;
use crate::config::MysqlConfig;
use crate::decode::name_of;
use crate::log::Framing;
use crate::position::{GtidSet, Gtids};
use crate::session::Session;

/// Between two looks whether the server shows more of its log.
const POLL: Duration = Duration::from_millis(50);

/// Why a stream does not go on behind these transactions; `None` where it does. The server itself
/// is asked: it may be without what nothing it lists says that it has purged, and the first
/// transaction it sends may be another than the one of which a part was read.
pub(crate) async fn objection(
    session: Session,
    gtids: &Gtids,
    partial: Option<&Partial>,
) -> Result<Option<String>> {
    let first = match first_behind(session, gtids).await {
        Err(error) if *error.fault() == Fault::Definite => return Ok(Some(error.to_string())),
        first => first?,
    };
    let Some(Partial { txid, rows }) = partial.filter(|open| first.as_ref() != Some(&open.txid))
    else {
        return Ok(None);
    };
    let found =
        first.map_or("ends".to_owned(), |first| format!("goes on with transaction {first}"));
    Ok(Some(format!("its log {found} where {rows} changes of transaction {txid} have been read")))
}

async fn first_behind(session: Session, gtids: &Gtids) -> Result<Option<String>> {
    let mut reader = LogReader::try_behind(session, gtids).await?;
    let mut framing = Framing::default();
    loop {
        let bytes = match reader.arrived()? {
            None => {
                reader.more_in_time().await?;
                continue;
            }
            Some(Arrived::End) => return Ok(None),
            Some(Arrived::Event(bytes)) => bytes,
        };
        if let Some(name) = name_of(&framing.frame(bytes)?.event()?)? {
            return Ok(Some(name));
        }
    }
}

/// The transactions before a place of a MySQL's log: those that were `executed` before the server
/// said where that is, and what the log has up to there beside them. It is written before its
/// transactions count as executed, and the server itself passes over those that have been.
pub(crate) async fn logged_before(
    config: &MysqlConfig,
    executed: GtidSet,
    end: &Mark,
) -> Result<GtidSet> {
    let mut set = executed;
    // What the server says is written it shows its readers when it is synced.
    while !add_up_to(Session::connect(config).await?, &mut set, end).await? {
        tokio::time::sleep(POLL).await;
    }
    Ok(set)
}

/// Adds what the log has up to a place. Returns whether it is shown so far.
async fn add_up_to(session: Session, set: &mut GtidSet, end: &Mark) -> Result<bool> {
    let mut reader = LogReader::try_behind(session, &Gtids::MySql(set.clone())).await?;
    let mut framing = Framing::default();
    let mut here = Mark { file: end.file.clone(), offset: 0 };
    while here.is_before(end) {
        let bytes = match reader.arrived()? {
            None => {
                reader.more_in_time().await?;
                continue;
            }
            Some(Arrived::End) => return Ok(false),
            Some(Arrived::Event(bytes)) => bytes,
        };
        let frame = framing.frame(bytes)?;
        let event = frame.event()?;
        here.pass(&frame.header, &event);
        // A place is never inside a transaction: what begins before it ends before it.
        let begins = here.offset.saturating_sub(u64::from(frame.header.size));
        let begins = Mark { file: here.file.clone(), offset: begins };
        if let Some(name) = name_of(&event)?.filter(|_| begins.is_before(end)) {
            // It has no name where the server gave it none.
            name.parse().into_iter().for_each(|gtid| set.add(gtid));
        }
    }
    Ok(true)
}
