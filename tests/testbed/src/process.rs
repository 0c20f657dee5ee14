//! One server process, bound to the life of this one.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A child that ends with this process, even when this process is killed.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    exit: Arc<Exit>,
    end: Signal,
}

#[derive(Debug, Default)]
struct Exit {
    status: Mutex<Option<ExitStatus>>,
    known: Condvar,
}

impl Process {
    /// Starts `command` on a thread that lives as long as the child: the kernel sends the signal of
    /// [`bound`] when the starting *thread* ends, and threads of tests end early.
    /// `end` is the signal that ends it at once.
    pub(crate) fn spawn(mut command: Command, end: Signal) -> io::Result<Process> {
        let (sender, receiver) = mpsc::channel();
        let exit = Arc::new(Exit::default());
        let ended = Arc::clone(&exit);
        std::thread::Builder::new().name("server".to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(sender.send(Err(error))),
            };
            drop(sender.send(Ok(child.id())));
            let status = child.wait().unwrap_or_default();
            *ended.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            ended.known.notify_all();
        })?;
        let id = receiver.recv().map_err(|_| io::Error::other("the starting thread ended"))??;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other(format!("{id} is no process id")))?;
        Ok(Process { pid, exit, end })
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How the child ended, if it has.
    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        *self.exit.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `signal`; nothing happens when the child has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.exited().is_none() {
            // Gone in between: what was wanted.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for the end, at most `limit`; `None` when the child still runs then.
    pub(crate) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let status = self.exit.status.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.exit.known.wait_timeout_while(status, limit, |status| status.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(self.end);
        if self.wait(Duration::from_secs(10)).is_none() {
            self.signal(Signal::KILL);
            self.wait(Duration::from_secs(10));
        }
    }
}

/// A command that runs `program` and gets the signal `end` when its parent dies.
/// Without `setpriv` on the machine it is the program alone; a killed test leaves its servers to
/// the next one's sweep.
pub(crate) fn bound(program: &std::ffi::OsStr, end: Signal) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = *SETPRIV.get_or_init(|| {
        let tried = Command::new("setpriv").args(["--pdeathsig=KILL", "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    });
    if !has_setpriv {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let name = if end == Signal::KILL { "KILL" } else { "QUIT" };
    command.arg(format!("--pdeathsig={name}")).arg(program);
    command
}

/// Runs `command` to its end; its output, or what it complained about.
pub(crate) fn finish(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed ({}): {}", output.status, said.trim()))
}
