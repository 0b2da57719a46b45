//! How a judge lives and ends: its folder, its runtime, and the two things that end it.

use std::error::Error;
use std::future::Future;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dbus::channel::{BusType, Channel};
use tokio::runtime::Builder;
use tokio::sync::broadcast::{self, Receiver};
use tokio::task::JoinHandle;

/// The folder with a judge's settings and the socket between its halves.
pub struct Folder {
    path: PathBuf,
    is_ours: bool,
}

impl Folder {
    /// Take the folder that the command line names, or make one.
    pub fn open() -> std::io::Result<Self> {
        if let Some(path) = std::env::args_os().nth(1) {
            return Ok(Self { path: path.into(), is_ours: false });
        }
        let path = std::env::temp_dir().join(format!("himmelblau-judge-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self { path, is_ours: true })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the daemon listens; nobody else's socket is left there.
    pub fn socket(&self) -> String {
        let path = self.path.join("broker.sock");
        let _ = std::fs::remove_file(&path);
        path.to_string_lossy().into_owned()
    }

    fn clean(&self) {
        let _ = std::fs::remove_file(self.path.join("broker.sock"));
        if self.is_ours {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Run the daemon on a thread and the session broker on this one, until the bus ends, or standard input where it is a pipe.
///
/// # Arguments
/// * `daemon`: begins to listen, and says when it does.
/// * `daemon_after`: seconds until it begins; None: never.
/// * `session`: serves the bus.
pub fn serve_until_the_end<D, S, E>(
    folder: Folder,
    daemon: impl FnOnce(Receiver<bool>) -> D + Send + 'static,
    daemon_after: Option<f64>,
    session: impl FnOnce() -> S,
) -> ExitCode
where
    D: Future<Output = Result<JoinHandle<()>, Box<dyn Error>>>,
    S: Future<Output = Result<(), E>>,
    E: std::fmt::Debug,
{
    if let Some(seconds) = daemon_after {
        let (listens, is_listening) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
            runtime.block_on(async {
                let (_end, ended) = broadcast::channel(1);
                let serving = daemon(ended).await.expect("the daemon listens");
                let _ = listens.send(());
                let _ = serving.await;
            });
        });
        if seconds == 0.0 && is_listening.recv().is_err() {
            return ExitCode::FAILURE;
        }
    }
    let folder = Arc::new(folder);
    if std::fs::metadata("/dev/stdin").is_ok_and(|input| input.file_type().is_fifo()) {
        end_after(&folder, || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        });
    }
    end_after(&folder, wait_for_the_end_of_the_bus);
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    // The crates serve until the bus ends, and say so as an error.
    if let Err(error) = runtime.block_on(session()) {
        eprintln!("the session broker ended: {error:?}");
    }
    folder.clean();
    ExitCode::SUCCESS
}

/// End the program when a wait is over, whatever its other threads do.
fn end_after(folder: &Arc<Folder>, wait: impl FnOnce() + Send + 'static) {
    let folder = folder.clone();
    std::thread::spawn(move || {
        wait();
        folder.clean();
        std::process::exit(0);
    });
}

/// A connection of its own: 0.1.4 can be in a read that never ends, and then notices nothing.
fn wait_for_the_end_of_the_bus() {
    if let Ok(channel) = Channel::get_private(BusType::Session) {
        while channel.read_write(None).is_ok() {
            while channel.pop_message().is_some() {}
        }
    }
}
