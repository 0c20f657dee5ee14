use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal, Write as _};

use connector_api::{Detached, Result};
use serde_json::json;

use super::args::{DetachArgs, ForgetArgs, TargetArgs};
use super::client::Client;
use super::store::Store;
use super::{Exit, Failure, print, process, target};
use crate::config::{Config, SellerConfig, SinkConfig};
use crate::http::SELLERS_PATH;
use crate::seller::{self, Keep};
use crate::sink::{Forgets, Part, RowEntry};
use crate::state::{Recalled, epoch_of, forgotten};
use crate::stock::{SellerId, SourceName};
use crate::telemetry::SourceStatus;

/// Keys that are taken out in one commit.
const AT_ONCE: usize = 5000;

/// Frees what a seller's server keeps for us.
pub(super) fn detach(config: &Config, args: &DetachArgs) -> Result<Exit, Failure> {
    let seller = target::of(config, &args.target)?;
    refuse_if_followed(config, seller)?;
    process::until_signal(async |_| {
        // The lock of a file says who works with it; topics are not taken from anybody for this.
        let _held = match config.sink {
            SinkConfig::Sqlite(_) => Store::take(config, false).await?,
            SinkConfig::Kafka(_) | SinkConfig::Discard => None,
        };
        let detached = from_server(config, seller).await?;
        tell(&Told { seller, detached: Some(detached), forgotten: None }, args.json)
    })
}

/// The same, and takes out of the store what is known of the seller.
pub(super) fn forget(config: &Config, args: &ForgetArgs) -> Result<Exit, Failure> {
    let seller = target::of(config, &args.target)?;
    refuse_if_followed(config, seller)?;
    if !args.yes {
        confirm(&args.target, seller)?;
    }
    process::until_signal(async |_| {
        // First of all, so that no process begins with it meanwhile.
        let store = Store::take(config, args.take_over).await?;
        let detached = match args.without_server {
            true => None,
            false => Some(from_server(config, seller).await?),
        };
        let forgotten = match store {
            Some(store) => {
                let source = (&seller.seller, &seller.source.name);
                Some(from_store(store, source).await?)
            }
            None => None,
        };
        tell(&Told { seller, detached, forgotten }, args.json)
    })
}

/// The process that answers must not follow this source.
fn refuse_if_followed(config: &Config, seller: &SellerConfig) -> Result<(), Failure> {
    let Ok(client) = Client::of(config) else { return Ok(()) };
    let Ok(answer) = client.get(SELLERS_PATH) else { return Ok(()) };
    let statuses: Vec<SourceStatus> = serde_json::from_str(&answer.body).unwrap_or_default();
    let (name, source) = (seller.seller.as_str(), seller.source.name.as_str());
    let follows = |status: &&SourceStatus| {
        let is_over = ["halted", "stopped"].contains(&status.state.as_str());
        status.seller == name && status.source == source && !is_over
    };
    match statuses.iter().find(follows) {
        None => Ok(()),
        Some(status) => {
            let (address, state) = (client.address, status.state.replace('_', " "));
            let what = format!("{name}/{source} is followed by the process on {address} ({state})");
            let fix = "end it, run this again, remove the seller's file, and start the process \
                       again";
            Err(Failure::new(Exit::Held, what, fix))
        }
    }
}

async fn from_server(config: &Config, seller: &SellerConfig) -> Result<Detached> {
    let connector = seller::connect(&seller.source, &Keep::of(config, seller, None))?;
    connector.detach().await
}

/// How much was taken out of the store.
struct Forgotten {
    levels: usize,
    rows: usize,
}

/// Wherever this ends half-way, it can be begun again, and a process that starts in between misses
/// nothing. As long as the checkpoint stands all levels do, and it relies on no row; once all rows
/// are gone, the epoch of the last versions takes its place, and the source has been forgotten.
async fn from_store(
    mut store: Store,
    (seller, source): (&SellerId, &SourceName),
) -> Result<Forgotten> {
    let mut stored = store.state.load(seller, source).await?;
    let levels = store.state.levels(seller, source).await?;
    let epoch = match stored.checkpoint.as_deref().and_then(epoch_of) {
        None => store.state.remains(seller, source).await?.map(|remains| remains.epoch),
        known => known,
    };
    let epoch = epoch.max(levels.iter().map(|level| level.version.epoch).max());
    let is_known = stored.checkpoint.is_some() || epoch.is_some();
    let mut taken = Forgotten { levels: levels.len(), rows: 0 };
    let part = || Part::empty(seller.clone(), source.clone());
    // What cannot be read nobody goes on from, either.
    let decode = |text: &str| Recalled::decode(text, seller.as_str(), source.as_str()).ok();
    let recalled = stored.checkpoint.as_deref().and_then(decode);
    if let Some(mut checkpoint) = recalled.and_then(Recalled::checkpoint) {
        checkpoint.doubt(&["the store".to_owned()]);
        store.commit(Part { checkpoint: Some(checkpoint.encode()), ..part() }).await?;
    }
    loop {
        let some = stored.rows.next().await?;
        if some.is_empty() {
            break;
        }
        taken.rows += some.len();
        let rows = some.into_iter().map(|row| RowEntry { value: None, ..row }).collect();
        store.commit(Part { rows, ..part() }).await?;
    }
    if is_known {
        // Consumers go by versions, and keep those they have seen: a later start begins above them.
        let left = forgotten(seller.as_str(), source.as_str(), epoch.unwrap_or(0));
        store.commit(Part { checkpoint: Some(left), ..part() }).await?;
    }
    for some in levels.chunks(AT_ONCE) {
        let levels = some.iter().map(|level| level.key.clone()).collect();
        store.commit(Part { forgets: Forgets { levels }, ..part() }).await?;
    }
    store.end().await;
    Ok(taken)
}

/// Asks the person at the terminal.
fn confirm(target: &TargetArgs, config: &SellerConfig) -> Result<(), Failure> {
    let name = format!("{}/{}", config.seller, config.source.name);
    if !std::io::stdin().is_terminal() {
        let what = format!("{name} would be forgotten, and nobody is there to confirm it");
        return Err(Failure::new(Exit::Usage, what, "say so: --yes"));
    }
    let failed = |error| {
        Failure::new(Exit::Failed, format!("the terminal cannot be used: {error}"), "use --yes")
    };
    let mut terminal = std::io::stderr().lock();
    let question = format!(
        "Nobody can go on from where {name} was: its slot, its checkpoint and its levels go, its \
         events stay.\nType {} to go on: ",
        target.seller
    );
    terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush()).map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    if answer.trim() == target.seller {
        return Ok(());
    }
    Err(Failure::new(Exit::Interrupted, "nothing was changed", ""))
}

/// What the person at the terminal is told.
struct Told<'a> {
    seller: &'a SellerConfig,
    detached: Option<Detached>,
    forgotten: Option<Forgotten>,
}

fn tell(told: &Told<'_>, json: bool) -> Result<Exit, Failure> {
    let Told { seller, detached, forgotten } = told;
    let (name, source) = (seller.seller.as_str(), seller.source.name.as_str());
    let (done, left) = match detached {
        Some(Detached { done, left }) => (&done[..], &left[..]),
        None => (&[][..], &[][..]),
    };
    if json {
        let forgotten = forgotten
            .as_ref()
            .map(|forgotten| json!({ "levels": forgotten.levels, "rows": forgotten.rows }));
        let told = json!({
            "seller": name, "source": source, "done": done, "left": left, "forgotten": forgotten,
        });
        return print(&format!("{told}\n"));
    }
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("writing to memory");
    for done in done {
        line(&format!("{name}/{source}: {done}"));
    }
    if let Some(Forgotten { levels, rows }) = forgotten {
        line(&format!(
            "{name}/{source}: forgotten, with {levels} levels and {rows} cached rows; its events \
             stay"
        ));
    }
    if detached.is_none() && forgotten.is_none() {
        line(&format!("{name}/{source}: nothing is stored of it"));
    }
    if !left.is_empty() {
        line("-- for the DBA, where nothing else uses it:");
        left.iter().for_each(|statement| line(statement));
    }
    print(&text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
