//! What both judges share: the daemon that stands behind the crates, and how a judge lives and ends.

mod accounts;
mod daemon;
mod json_web_token;
mod life;
mod requests;
mod settings;

pub use daemon::{Daemon, Release};
pub use life::{serve_until_the_end, Folder};
pub use settings::{Prompt, Settings};
