use connector_api::{Error, Result};
use connector_transport::Wire;
use mysql_common::packets::{BinlogDumpFlags, ComBinlogDump, ComBinlogDumpGtid};

use super::{ANSWER_TIME, Doing, ServerMessage, Session};
use crate::config::MysqlConfig;
use crate::log::Flavor;
use crate::position::Gtids;

/// Where a dump begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpFrom {
    /// The name of a binlog file.
    pub file: String,
    /// The offset of an event in it, bytes; 4 is the first.
    pub offset: u64,
    /// Whether the dump ends where the log does, instead of waiting for more.
    pub ends_with_the_log: bool,
}

impl Session {
    /// Makes the connection a dump of the binlog. Returns it with what has arrived already; the
    /// first packet of [`crate::stream::packet::Packets`] is in there.
    ///
    /// # Errors
    /// What the server said instead, or that the connection broke.
    pub async fn dump(mut self, from: &DumpFrom) -> Result<(Wire, Vec<u8>)> {
        self.prepare().await?;
        self.ask_for(from).await?;
        self.expect_dump(&Doing::Streaming).await?;
        Ok(self.channel.into_parts())
    }

    /// The same for everything but the given transactions, from the oldest file on that has any.
    ///
    /// # Errors
    /// The same, and transactions that do not name any on a server of this family.
    pub(crate) async fn dump_behind(
        mut self,
        gtids: &Gtids,
        doing: &Doing<'_>,
    ) -> Result<(Wire, Vec<u8>)> {
        self.prepare().await?;
        let id = self.config.server_id;
        let flags = match doing {
            Doing::Trying => BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK,
            _ => BinlogDumpFlags::empty(),
        };
        match (gtids, self.flavor()) {
            (Gtids::MySql(set), Flavor::MySql) => {
                self.channel.send(&gtid_request(id, &set.encode(), flags)).await?;
            }
            (Gtids::MariaDb(position), Flavor::MariaDb) => {
                let position = format!("SET @slave_connect_state = '{position}'");
                for setting in [&position[..], "SET @slave_gtid_strict_mode = 1"] {
                    self.query(setting).await?;
                }
                self.channel.begin();
                let request = ComBinlogDump::new(id).with_pos(4).with_flags(flags);
                self.channel.send_message(&request).await?;
            }
            _ => {
                return Err(Error::transient(
                    "the log is not the one that was looked at, and the checkpoint names no \
                     transactions by which to go on in another",
                ));
            }
        }
        self.expect_dump(doing).await?;
        Ok(self.channel.into_parts())
    }

    async fn prepare(&mut self) -> Result<()> {
        for setting in settings(&self.config, self.flavor()) {
            self.query(&setting).await?;
        }
        self.channel.begin();
        Ok(())
    }

    /// Waits for its first packet, which may say that there is none.
    async fn expect_dump(&mut self, doing: &Doing<'_>) -> Result<()> {
        let answer = tokio::time::timeout(ANSWER_TIME, self.channel.peek()).await;
        match answer {
            Err(_) => return Err(self.unanswered("the request for its binlog")),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(packet)) => {
                if let Some((0xff, body)) = packet.split_first() {
                    let told = ServerMessage::read(body);
                    return Err(told.classify(doing, &self.config, self.flavor()));
                }
            }
        }
        Ok(())
    }

    async fn ask_for(&mut self, from: &DumpFrom) -> Result<()> {
        let flags = match from.ends_with_the_log {
            true => BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK,
            false => BinlogDumpFlags::empty(),
        };
        let (id, file) = (self.config.server_id, from.file.as_bytes());
        match (u32::try_from(from.offset), self.flavor()) {
            (Ok(offset), _) => {
                let request = ComBinlogDump::new(id).with_pos(offset).with_flags(flags);
                self.channel.send_message(&request.with_filename(file)).await
            }
            // The set of what is not wanted is empty: all behind the offset comes.
            (Err(_), Flavor::MySql) => {
                let request = ComBinlogDumpGtid::new(id).with_pos(from.offset).with_flags(flags);
                self.channel.send_message(&request.with_filename(file)).await
            }
            (Err(_), Flavor::MariaDb) => Err(Error::definite(format!(
                "the stream stands {} bytes into {}; MariaDB can be asked for the first {} only",
                from.offset,
                from.file,
                u32::MAX
            ))),
        }
    }
}

/// COM_BINLOG_DUMP_GTID for everything but `set`. mysql_common's own has no room for GTIDs with
/// tags.
fn gtid_request(server_id: u32, set: &[u8], flags: BinlogDumpFlags) -> Vec<u8> {
    const COMMAND: u8 = 0x1e;
    const THROUGH_GTID: u16 = 0x04;
    let mut request = vec![COMMAND];
    request.extend((flags.bits() | THROUGH_GTID).to_le_bytes());
    request.extend(server_id.to_le_bytes());
    // No file's name, and the offset of a file's first event.
    request.extend(0_u32.to_le_bytes());
    request.extend(4_u64.to_le_bytes());
    request.extend(u32::try_from(set.len()).expect("a set of GTIDs is small").to_le_bytes());
    request.extend_from_slice(set);
    request
}

/// What a server has to know of a replica, in the old words and in the new ones. They are variables
/// of a user: a server that does not know one has nothing against it.
fn settings(config: &MysqlConfig, flavor: Flavor) -> Vec<String> {
    let checksum = "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'";
    let period = config.heartbeat.as_nanos();
    let uuid = replica_uuid(config.server_id);
    let mut settings = vec![
        checksum.to_owned(),
        format!("SET @master_heartbeat_period = {period}, @source_heartbeat_period = {period}"),
        format!("SET @slave_uuid = '{uuid}', @replica_uuid = '{uuid}'"),
        // A dump that takes nothing keeps files from being purged for as long as it lasts.
        format!("SET SESSION net_write_timeout = {}", config.patience.as_secs().max(1)),
    ];
    if flavor == Flavor::MariaDb {
        // Its GTIDs come as they are, instead of as a BEGIN.
        settings.push("SET @mariadb_slave_capability = 4".to_owned());
    }
    settings
}

/// Who we are to a server that tells its replicas apart by UUID.
fn replica_uuid(server_id: u32) -> String {
    // "tailstock" in ASCII, with the version and the variant of a name of one's own (RFC 9562).
    format!("7461696c-7374-8f63-ab00-0000{server_id:08x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_server_id_has_a_uuid_of_its_own() {
        assert_eq!(replica_uuid(0x1234), "7461696c-7374-8f63-ab00-000000001234");
        assert_eq!(replica_uuid(u32::MAX), "7461696c-7374-8f63-ab00-0000ffffffff");
    }

    #[test]
    fn heartbeats_are_asked_for_in_nanoseconds() {
        let config = MysqlConfig::parse("mysql://u@h/d?heartbeat=3", 7).unwrap();
        let settings = settings(&config, Flavor::MySql);
        assert!(settings[1].contains("@master_heartbeat_period = 3000000000,"), "{settings:?}");
    }
}
