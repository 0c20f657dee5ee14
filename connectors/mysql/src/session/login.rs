use std::collections::HashMap;

use connector_api::{Error, Result};
use mysql_common::constants::CapabilityFlags;
use mysql_common::packets::{AuthPlugin, HandshakeResponse};
use mysql_common::scramble::{create_response_for_ed25519, scramble_native, scramble_sha256};

use super::channel::Channel;
use super::fault::{Doing, ServerMessage, unknown_plugin};
use super::greeting::{Greeting, text};
use super::{LARGEST_PACKET, key};
use crate::config::MysqlConfig;
use crate::log::Flavor;

/// What we can do, where the server can do it too.
pub(super) const CAPABILITIES: CapabilityFlags = CapabilityFlags::CLIENT_LONG_PASSWORD
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_PROTOCOL_41)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_CONNECT_WITH_DB)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA);

/// What we can do besides, where it was asked for.
pub(super) const TLS: CapabilityFlags = CapabilityFlags::CLIENT_SSL;

/// The first byte of what a server says during a login.
const DONE: u8 = 0x00;
const MORE: u8 = 0x01;
const SWITCH: u8 = 0xfe;
const FAILED: u8 = 0xff;

/// What `caching_sha2_password` says next: it knows the password's hash; it needs the password.
const KNOWN: u8 = 0x03;
const UNKNOWN: u8 = 0x04;
/// Asks for the server's public key.
const ASK_FOR_KEY: u8 = 0x02;

/// A way to prove that we know the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plugin {
    Native,
    CachingSha2,
    Ed25519,
}

impl Plugin {
    fn named(name: &str) -> Option<Self> {
        match name {
            "mysql_native_password" => Some(Self::Native),
            "caching_sha2_password" => Some(Self::CachingSha2),
            "client_ed25519" => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// The proof. Without a password there is nothing to prove, and nothing is said.
    fn proof(self, password: Option<&str>, nonce: &[u8]) -> Vec<u8> {
        let Some(password) = password.map(str::as_bytes) else { return Vec::new() };
        let proof = match self {
            Self::Native => scramble_native(nonce, password).map(Vec::from),
            Self::CachingSha2 => scramble_sha256(nonce, password).map(Vec::from),
            Self::Ed25519 => Some(create_response_for_ed25519(password, nonce).to_vec()),
        };
        proof.unwrap_or_default()
    }
}

/// Proves who we are, in whichever of the supported ways the server asks.
pub(super) async fn log_in(
    channel: &mut Channel,
    greeting: &Greeting,
    capabilities: CapabilityFlags,
    config: &MysqlConfig,
) -> Result<()> {
    // The server of an unknown one names the user's own next.
    let plugin = Plugin::named(&greeting.plugin).unwrap_or(Plugin::Native);
    introduce(channel, greeting, capabilities, (plugin, config)).await?;
    let login = Login { channel, config, flavor: greeting.flavor };
    login.convince(plugin, greeting.nonce.clone()).await
}

async fn introduce(
    channel: &mut Channel,
    greeting: &Greeting,
    capabilities: CapabilityFlags,
    (plugin, config): (Plugin, &MysqlConfig),
) -> Result<()> {
    let named = match plugin {
        Plugin::Native => AuthPlugin::MysqlNativePassword,
        Plugin::CachingSha2 => AuthPlugin::CachingSha2Password,
        Plugin::Ed25519 => AuthPlugin::Ed25519,
    };
    let shown = greeting.capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS);
    let shown = shown.then(|| HashMap::from([("program_name".to_owned(), config.shown_name())]));
    let answer = HandshakeResponse::new(
        Some(plugin.proof(config.password.as_deref(), &greeting.nonce)),
        // Any that knows utf8mb4.
        (8, 0, 0),
        Some(config.user.as_bytes()),
        Some(config.database.as_bytes()),
        Some(named),
        capabilities,
        shown,
        LARGEST_PACKET,
    );
    channel.send_message(&answer).await
}

struct Login<'a> {
    channel: &'a mut Channel,
    config: &'a MysqlConfig,
    flavor: Flavor,
}

impl Login<'_> {
    /// Does what the server wants until it is convinced.
    async fn convince(mut self, mut plugin: Plugin, mut nonce: Vec<u8>) -> Result<()> {
        let mut has_switched = false;
        loop {
            let packet = self.channel.packet().await?;
            match packet.split_first() {
                Some((&DONE, _)) => return Ok(()),
                Some((&FAILED, body)) => return Err(self.refused(body)),
                Some((&SWITCH, body)) if !has_switched => {
                    has_switched = true;
                    (plugin, nonce) = self.switch(body)?;
                    let proof = plugin.proof(self.config.password.as_deref(), &nonce);
                    self.channel.send(&proof).await?;
                }
                Some((&MORE, [KNOWN])) if plugin == Plugin::CachingSha2 => {}
                Some((&MORE, [UNKNOWN])) if plugin == Plugin::CachingSha2 => {
                    self.reveal(&nonce).await?;
                }
                _ => return Err(self.channel.nonsense("something that belongs to no login")),
            }
        }
    }

    fn switch(&self, body: &[u8]) -> Result<(Plugin, Vec<u8>)> {
        // One that is not named is the one before MySQL 4.1.
        let (name, nonce) = text(body).unwrap_or(("mysql_old_password".to_owned(), &[]));
        let plugin =
            Plugin::named(&name).ok_or_else(|| unknown_plugin(&name, self.config, self.flavor))?;
        let nonce = match plugin {
            // 32 bytes, of which the last may well be 0.
            Plugin::Ed25519 => nonce,
            _ => nonce.strip_suffix(b"\0").unwrap_or(nonce),
        };
        Ok((plugin, nonce.to_vec()))
    }

    /// Shows the password itself, to the server alone.
    async fn reveal(&mut self, nonce: &[u8]) -> Result<()> {
        let password = self.config.password.clone().unwrap_or_default();
        if self.channel.wire.is_private() {
            return self.channel.send(format!("{password}\0").as_bytes()).await;
        }
        self.channel.send(&[ASK_FOR_KEY]).await?;
        let packet = self.channel.packet().await?;
        match packet.split_first() {
            Some((&MORE, pem)) => {
                let hidden = key::encrypt(&password, nonce, pem)?;
                self.channel.send(&hidden).await
            }
            Some((&FAILED, body)) => Err(self.refused(body)),
            _ => Err(self.channel.nonsense("something that is no public key")),
        }
    }

    fn refused(&self, body: &[u8]) -> Error {
        let doing = Doing::LoggingIn(&self.channel.host);
        ServerMessage::read(body).classify(&doing, self.config, self.flavor)
    }
}
