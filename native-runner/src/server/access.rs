//! Who may call: API keys, and the host name that a request was sent to.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header, uri::Authority};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Server;
use super::failure::Failure;
use crate::cli::ServeArguments;
use crate::input::InputError;

/// Paths that need no key: what a load balancer asks for.
const OPEN: [&str; 4] = ["/health", "/health/live", "/health/ready", "/ping"];

pub(crate) struct Access {
    /// The sha256 of every key; none if all callers are let in.
    keys: Option<Vec<[u8; 32]>>,
    hosts: Vec<String>,
}

impl Access {
    /// Reads the keys.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else than hashes.
    pub(crate) fn new(arguments: &ServeArguments) -> anyhow::Result<Self> {
        let access = &arguments.access;
        let mut hosts = access.allowed_hosts.clone();
        hosts.push("localhost".to_owned());
        let Some(path) = &access.api_keys else { return Ok(Self { keys: None, hosts }) };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let refuse = |problem: &str| InputError::Flag {
            flag: "--api-keys",
            problem: format!("{} {problem}", path.display()),
        };
        let mut keys = Vec::new();
        for (place, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                let problem = || refuse(&format!("is not a sha256 in hexadecimal at line {}", place + 1));
                keys.push(hash_of_hex(line).ok_or_else(problem)?);
            }
        }
        if keys.is_empty() {
            return Err(refuse("holds no key; without the flag every caller is let in").into());
        }
        Ok(Self { keys: Some(keys), hosts })
    }

    /// A page in a browser reaches a loopback address under a name of its own by DNS rebinding, and then sends
    /// that name. It cannot send a key, so where keys are asked for any name is good.
    fn check_host(&self, request: &Request) -> Result<(), Failure> {
        if self.keys.is_some() || self.hosts.iter().any(|host| host == "*") {
            return Ok(());
        }
        let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let sent = header.or_else(|| request.uri().authority().map(Authority::as_str)).unwrap_or_default();
        let host = sent.parse::<Authority>().map_or(String::new(), |authority| authority.host().to_owned());
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        match is_address || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host)) {
            true => Ok(()),
            false => Err(Failure::Host { host: sent.to_owned() }),
        }
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let sent = headers.get(header::AUTHORIZATION).ok_or(Failure::NoKey)?.as_bytes();
        // LlamaIndex's TEI client sends the key bare.
        let key = match sent.split_at_checked(7) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"Bearer ") => key,
            _ => sent,
        };
        let hash = Sha256::digest(key.trim_ascii());
        let known = keys.iter().fold(subtle::Choice::from(0), |known, key| known | key[..].ct_eq(&hash[..]));
        if bool::from(known) { Ok(()) } else { Err(Failure::WrongKey) }
    }
}

fn hash_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

/// Lets a request through to the routes, or answers it.
pub(crate) async fn check(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    server.access.check_host(&request)?;
    if !OPEN.contains(&request.uri().path()) {
        server.access.check_key(request.headers())?;
    }
    Ok(next.run(request).await)
}
