use std::collections::BTreeSet;

use mysql_async::{Conn, Error, Row};

use super::settings::is_filter;
use super::{named, permitted, text};
use crate::doctor::facts::{Facts, Replica};

/// Whether the server follows another one, and who follows it.
pub(super) async fn ask(conn: &mut Conn, facts: &mut Facts) -> Result<(), Error> {
    let renamed = !facts.server.is_mariadb() && facts.server.number >= (8, 0, 22);
    let (followed, followers) = match (facts.server.is_mariadb(), renamed) {
        (true, _) => ("SHOW ALL SLAVES STATUS", "SHOW SLAVE HOSTS"),
        (false, true) => ("SHOW REPLICA STATUS", "SHOW REPLICAS"),
        (false, false) => ("SHOW SLAVE STATUS", "SHOW SLAVE HOSTS"),
    };
    let replication = &mut facts.replication;
    if let Some(rows) = permitted(conn, followed).await? {
        replication.is_replica = Some(!rows.is_empty());
        replication.filters.extend(rows.iter().flat_map(filters));
    }
    let rows = permitted(conn, followers).await?.unwrap_or_default();
    replication.replicas = rows.iter().filter_map(replica).collect();
    Ok(())
}

/// What one connection to another server leaves out.
fn filters(row: &Row) -> BTreeSet<String> {
    let channel = named(row, "Channel_Name").or_else(|| named(row, "Connection_name"));
    let of = match channel.as_deref() {
        None | Some("") => String::new(),
        Some(channel) => format!(" of channel {channel}"),
    };
    let columns = row.columns_ref().iter().enumerate();
    let filter = |(nth, column): (usize, &mysql_async::Column)| {
        let name = column.name_str().to_ascii_lowercase();
        let value = text(row, nth).filter(|value| is_filter(&name) && !value.is_empty())?;
        Some(format!("{name}{of} = {value}"))
    };
    columns.filter_map(filter).collect()
}

fn replica(row: &Row) -> Option<Replica> {
    let server_id = text(row, 0)?.parse().ok()?;
    let (host, port) = (text(row, 1).unwrap_or_default(), text(row, 2).unwrap_or_default());
    let address = if host.is_empty() { String::new() } else { format!("{host}:{port}") };
    Some(Replica { server_id, address })
}
