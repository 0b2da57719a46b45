//! Himmelblau 4.0 as a judge: the bus and the daemon's half are the crate's, the daemon's answers ours; and what stands
//! between them, which in 4.0 is Himmelblau's program and no longer the crate's, is ours too.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbus::MethodErr;
use himmelblau_judge::{serve_until_the_end, Daemon, Folder, Prompt, Release, Settings};
use identity_dbus_broker_0_2::{himmelblau_broker_serve, session_broker_serve, LogLevelCallbacks, SessionBroker};
use serde_json::{json, Value};

/// Passes calls on to the daemon, and asks the person first where a sign-in is interactive.
struct Session {
    socket: String,
    folder: PathBuf,
}

impl Session {
    fn pass_on(&self, method: &str, version: &str, correlation_id: &str, request: &str) -> Result<String, MethodErr> {
        let timeout = Duration::from_secs(Settings::load(&self.folder).connection_timeout);
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| failed("broker socket connect", error))?;
        stream.set_read_timeout(Some(timeout)).map_err(|error| failed("set_read_timeout", error))?;
        let call = json!({ method: [version, correlation_id, request] });
        stream.write_all(call.to_string().as_bytes()).map_err(|error| failed("broker socket write", error))?;
        let mut reply = Vec::new();
        let mut part = [0; 4096];
        // The daemon leaves the connection open: a reply ends where its JSON does.
        while serde_json::from_slice::<Value>(&reply).is_err() {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(count) => reply.extend_from_slice(&part[..count]),
                Err(_) => return Err(MethodErr::failed("broker socket read timeout")),
            }
        }
        String::from_utf8(reply).map_err(|error| failed("invalid UTF-8", error))
    }

    /// The PIN dialog.
    fn ask(&self) -> Result<(), MethodErr> {
        let settings = Settings::load(&self.folder);
        std::thread::sleep(Duration::from_secs_f64(settings.prompt_seconds));
        match settings.prompt {
            Prompt::Enter => Ok(()),
            Prompt::Cancel => Err(MethodErr::failed("Interactive authentication failed: PAM_ABORT")),
            Prompt::NoDisplay => {
                Err(MethodErr::failed("No interactive prompt available: no graphical session or pinentry binary found"))
            }
        }
    }
}

/// Whom an interactive request names. An `account` at its root counts even where it is null.
fn named_user(request: &str) -> Option<String> {
    let request: Value = serde_json::from_str(request).ok()?;
    let account = request.get("account").or_else(|| request.get("authParameters")?.get("account"))?;
    Some(account.get("username")?.as_str()?.to_owned())
}

fn failed(what: &str, error: impl std::fmt::Display) -> MethodErr {
    MethodErr::failed(&format!("{what}: {error}"))
}

macro_rules! pass_on {
    ($($function:ident $method:literal,)*) => {
        $(fn $function(
            &mut self,
            version: String,
            correlation_id: String,
            request: String,
        ) -> Result<String, MethodErr> {
            self.pass_on($method, &version, &correlation_id, &request)
        })*
    };
}

impl SessionBroker for Session {
    fn acquire_token_interactively(
        &mut self,
        version: String,
        correlation_id: String,
        request: String,
    ) -> Result<String, MethodErr> {
        named_user(&request).ok_or_else(|| MethodErr::failed("Missing account username in request"))?;
        self.ask()?;
        self.acquire_token_silently(version, correlation_id, request)
    }

    pass_on!(
        acquire_token_silently "acquireTokenSilently",
        get_accounts "getAccounts",
        remove_account "removeAccount",
        acquire_prt_sso_cookie "acquirePrtSsoCookie",
        generate_signed_http_request "generateSignedHttpRequest",
        cancel_interactive_flow "cancelInteractiveFlow",
        get_linux_broker_version "getLinuxBrokerVersion",
    );
}

/// The level of a log that nobody writes; the values are those of syslog.
fn log_level() -> LogLevelCallbacks {
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    let level = Arc::new(Mutex::new("info".to_string()));
    let current = level.clone();
    LogLevelCallbacks {
        get: Arc::new(move || current.lock().expect("a lock").clone()),
        set: Arc::new(move |wanted| {
            if !LEVELS.contains(&wanted) {
                return Err(format!("Invalid log level: {wanted}, allowed: {}", LEVELS.join(", ")));
            }
            *level.lock().expect("a lock") = wanted.to_string();
            Ok(())
        }),
    }
}

fn main() -> ExitCode {
    let folder = Folder::open().expect("a folder");
    let settings = Settings::load(folder.path());
    let socket = folder.socket();
    let daemon = Daemon { release: Release::FourZero, folder: folder.path().to_owned() };
    let path = socket.clone();
    let listen = |end| async move { himmelblau_broker_serve(daemon, &path, end).await };
    let session = Session { socket, folder: folder.path().to_owned() };
    serve_until_the_end(folder, listen, settings.daemon_after, || {
        session_broker_serve(session, "himmelblau_broker", log_level())
    })
}
