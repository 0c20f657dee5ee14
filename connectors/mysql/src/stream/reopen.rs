use connector_api::{Error, Result};

use super::pump::{Pump, Stop, ending};
use super::reader::LogReader;
use crate::log::{Frame, Framing, Kind};
use crate::session::Session;

impl Pump {
    /// Goes on where the stream stands, be it in the middle of a transaction, with another dump:
    /// the server has ended this one, of which nothing was taken for long. Whatever stands in the
    /// way is looked into where a stream is begun.
    pub(super) async fn reopen(&mut self, ended: Error) -> Result<(), Stop> {
        let mut closed = self.work.closed.clone();
        let reopened = tokio::select! { biased;
            () = ending(&mut closed) => return Err(Stop::Closed),
            reopened = self.at_its_place() => reopened,
        };
        Ok(reopened.map_err(|error| ended.because(error))?)
    }

    async fn at_its_place(&mut self) -> Result<()> {
        let place = self.work.decoder.end();
        let (file, offset) = (place.file.clone(), place.offset);
        if place.is_by_transactions() {
            return Err(Error::transient("what the server passes over lies behind this place"));
        }
        let created = place.created;
        let mut session = Session::connect(&self.config).await?;
        if !session.lists(&file).await? {
            return Err(Error::transient(format!("{file} is purged")));
        }
        let connection = session.value("SELECT CONNECTION_ID()").await?;
        session.claim().await?;
        self.reader = LogReader::from_place(session, &file, offset).await?;
        self.framing = Framing::default();
        (self.created, self.again) = (Some(created), Some(self.unplaced));
        let mut shared = self.shared.lock().expect("no holder panics");
        shared.connection = connection.and_then(|number| number.parse().ok());
        Ok(())
    }
}

/// Whether an event of a dump that was opened again is one that has been read, of which so many
/// come `again`. The head of a file would end a transaction that is open.
pub(super) fn is_known(again: &mut Option<u64>, frame: &Frame<'_>) -> bool {
    let Some(left) = *again else { return false };
    match frame.header.kind {
        Kind::FORMAT_DESCRIPTION if left == 0 => *again = None,
        Kind::FORMAT_DESCRIPTION | Kind::ROTATE | Kind::MARIADB_START_ENCRYPTION => {}
        _ if is_heartbeat(frame) => return false,
        _ => *again = left.checked_sub(1).filter(|left| *left > 0),
    }
    true
}

pub(super) fn is_heartbeat(frame: &Frame<'_>) -> bool {
    [Kind::HEARTBEAT, Kind::HEARTBEAT_V2].contains(&frame.header.kind)
}
