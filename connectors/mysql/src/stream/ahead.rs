use connector_api::{Fault, Partial, Result};

use super::reader::{Arrived, LogReader};
use crate::decode::name_of;
use crate::log::Framing;
use crate::position::Gtids;
use crate::session::Session;

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
