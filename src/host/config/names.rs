//! What are the file, the variable and the shortest configuration called?

/// The file's name in its directory.
pub(super) const FILE: &str = "config.toml";

/// Names a configuration file.
pub(super) const VARIABLE: &str = "SEALPOST_CONFIG";

/// What the shortest configuration looks like, for hints.
pub(super) const EXAMPLE: &str = "two lines suffice: `[accounts.relay]` and `host = \"smtp.example.com\"`; see sealpost.toml(5)";
