//! Himmelblau 3.1 as a judge: both halves are the crate's, the daemon's answers are ours.

use std::process::ExitCode;

use himmelblau_judge::{serve_until_the_end, Daemon, Folder, Release, Settings};
use identity_dbus_broker_0_1::{himmelblau_broker_serve, himmelblau_session_broker_serve};

fn main() -> ExitCode {
    let folder = Folder::open().expect("a folder");
    let settings = Settings::load(folder.path());
    let socket = folder.socket();
    let daemon = Daemon { release: Release::ThreeOne, folder: folder.path().to_owned() };
    let path = socket.clone();
    let listen = |end| async move { himmelblau_broker_serve(daemon, &path, end).await };
    serve_until_the_end(folder, listen, settings.daemon_after, || async move {
        himmelblau_session_broker_serve(&socket, settings.connection_timeout).await
    })
}
