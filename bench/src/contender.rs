use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::place::{Place, Sink, Task, Workspace};
use crate::process::run;
use crate::report::Figures;
use crate::shop::{Backlog, Shop};

/// Who drains the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The server's own client.
    Peer,
    Tailstock(Sink),
}

impl Contender {
    /// The peer first.
    pub(crate) const ALL: [Contender; 6] = [
        Contender::Peer,
        Contender::Tailstock(Sink::Discard),
        Contender::Tailstock(Sink::Sqlite),
        Contender::Tailstock(Sink::Kafka),
        Contender::Tailstock(Sink::KafkaWithoutLevels),
        Contender::Tailstock(Sink::KafkaAtLeastOnce),
    ];

    pub(crate) fn name(self, shop: &dyn Shop) -> &'static str {
        match self {
            Contender::Peer => shop.peer(),
            Contender::Tailstock(sink) => sink.name(),
        }
    }

    /// Runs one client as a whole process over the whole backlog.
    pub(crate) fn drain(self, place: &Place, backlog: &Backlog) -> Figures {
        let Place { shop, broker, .. } = place;
        shop.rewind(backlog);
        let workspace = Workspace::new(place, self.sink(), Task::Drain(backlog));
        let written = memory_folder();
        let command = match self {
            Contender::Peer => shop.peer_command(backlog, written.path()),
            Contender::Tailstock(_) => workspace.tailstock(&["run", "--until-current"]),
        };
        let usage = run(command);
        shop.left();
        if let Some(events) = workspace.events(broker) {
            assert_eq!(events, backlog.captured, "events of {}", self.name(shop.as_ref()));
        }
        Figures::new(backlog.rows, usage)
    }

    fn sink(self) -> Sink {
        match self {
            Contender::Peer => Sink::Discard,
            Contender::Tailstock(sink) => sink,
        }
    }
}

/// For what a peer writes: in memory where the machine has such a place, and open to the account
/// that the server's programs run as.
fn memory_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let folder = folder.unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    folder
}
