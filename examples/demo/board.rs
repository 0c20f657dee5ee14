use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::shop::Levels;
use crate::watcher::Watcher;

/// The live table: redrawn in place on a terminal, now and then anywhere else.
pub(crate) struct Board {
    terminal: bool,
    /// Lines of the table that stand on the terminal.
    drawn: usize,
}

impl Board {
    pub(crate) fn new(terminal: bool) -> Self {
        Self { terminal, drawn: 0 }
    }

    pub(crate) fn pace(&self) -> Duration {
        if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(5) }
    }

    pub(crate) fn draw(&mut self, shop: &Levels, watcher: &Watcher, until: Option<Instant>) {
        let mut text = String::new();
        if self.terminal && self.drawn > 0 {
            // Up to where the table begins, and clear what stands below.
            write!(text, "\x1b[{}A\x1b[J", self.drawn).unwrap();
        }
        let mut keys: Vec<_> = shop.keys().chain(watcher.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).as_secs());
        let left = left.map_or(String::new(), |left| format!("   {left} s left"));
        writeln!(
            text,
            "\n{:<9} {:<9} {:<9} {:>7}   {:>9}  {:<34} {:>10}{left}",
            "SELLER", "ITEM", "LOCATION", "SHOP", "PUBLISHED", "VERSION", "LATENCY"
        )
        .unwrap();
        for key in &keys {
            let (seller, item, location) = key;
            let place = format!("{seller:<9} {item:<9} {location:<9}");
            let said = shop.get(*key).map_or("-", String::as_str);
            match watcher.level(key) {
                Some((on_hand, level)) => {
                    let latency = level.latency_ms.map(|latency| format!("{latency:.1} ms"));
                    let (version, latency) = (&level.version, latency.as_deref().unwrap_or("-"));
                    writeln!(text, "{place} {said:>7}   {on_hand:>9}  {version:<34} {latency:>10}")
                }
                None => writeln!(text, "{place} {said:>7}   {:>9}", "-"),
            }
            .unwrap();
        }
        self.drawn = keys.len() + 2;
        print!("{text}");
        std::io::Write::flush(&mut std::io::stdout()).unwrap();
    }
}
