//! HTTP to one hub: redirects, the token for the hub alone, and what its headers say about a file.

use std::fmt;
use std::io::Read;
use std::thread;
use std::time::Duration;

use ureq::http::{Method, Request, Response, header};
use ureq::{Agent, Body};

use crate::HubError;

const MAX_REDIRECTS: usize = 10;
/// Failures in a row before a request is given up.
const MAX_FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A secret, kept out of logs.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(hidden)")
    }
}

/// A connection to a hub.
pub(crate) struct Client {
    agent: Agent,
    origin: String,
    token: Option<Token>,
}

/// What the hub says about a file before it is downloaded.
pub(crate) struct Remote {
    pub(crate) commit: String,
    /// Name of the blob in the cache: the sha256 of large files, git's hash of small ones.
    pub(crate) etag: String,
    pub(crate) bytes: u64,
}

/// What arrives of a file.
pub(crate) struct Arriving {
    pub(crate) body: Box<dyn Read>,
    /// The byte it begins with: 0 where a server cannot continue.
    pub(crate) start: u64,
}

/// Longer and longer pauses, until it is time to give up.
#[derive(Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Client {
    pub(crate) fn new(endpoint: &str, token: Option<Token>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where the token is at stake.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .user_agent(concat!("crossrank/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: agent.into(), origin: origin(endpoint).to_owned(), token }
    }

    /// Asks for a file's commit, hash and size; `None` if there is no such file.
    pub(crate) fn head(&self, url: &str) -> Result<Option<Remote>, HubError> {
        let mut backoff = Backoff::default();
        loop {
            match self.send(&Method::HEAD, url, 0).and_then(|response| remote(url, &response)) {
                Err(error) if error.is_transient() && backoff.pause() => {}
                answer => return answer,
            }
        }
    }

    /// Opens a file of `bytes` bytes from byte `start` on.
    pub(crate) fn get(&self, url: &str, start: u64, bytes: u64) -> Result<Arriving, HubError> {
        let response = self.send(&Method::GET, url, start)?;
        check_status(url, &response)?;
        let (start, total) = match response.status().as_u16() {
            206 => content_range(&response).ok_or_else(|| not_a_hub(url, "Content-Range"))?,
            _ => (0, response.body().content_length().unwrap_or(bytes)),
        };
        if total != bytes {
            let (expected, found) = (format!("{bytes} bytes"), format!("{total} bytes"));
            return Err(HubError::IntegrityMismatch { url: url.to_owned(), expected, found });
        }
        Ok(Arriving { body: Box::new(response.into_body().into_reader()), start })
    }

    /// Follows redirects; for `HEAD` only up to the one that describes the file.
    fn send(&self, method: &Method, url: &str, start: u64) -> Result<Response<Body>, HubError> {
        let mut target = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.call(method, &target, start).map_err(network(url))?;
            let described = method == Method::HEAD && response.headers().contains_key("x-linked-etag");
            match redirect(&target, &response) {
                Some(next) if !described => target = next,
                _ => return Ok(response),
            }
        }
        Err(network(url)(ureq::Error::TooManyRedirects))
    }

    fn call(&self, method: &Method, url: &str, start: u64) -> Result<Response<Body>, ureq::Error> {
        let mut request =
            Request::builder().method(method).uri(url).header(header::ACCEPT_ENCODING, "identity");
        if let Some(Token(token)) = self.token.as_ref().filter(|_| origin(url) == self.origin) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        self.agent.run(request.body(())?)
    }
}

impl Backoff {
    /// Waits; false if there were too many failures in a row.
    pub(crate) fn pause(&mut self) -> bool {
        self.failures += 1;
        let goes_on = self.failures < MAX_FAILURES;
        if goes_on {
            thread::sleep(FIRST_PAUSE * 2_u32.pow(self.failures - 1));
        }
        goes_on
    }
}

fn remote(url: &str, response: &Response<Body>) -> Result<Option<Remote>, HubError> {
    // A repository that is private, or not there at all, is answered with 401 and this header.
    let error = text(response, "x-error-code").unwrap_or_default();
    if response.status() == 404 || error.ends_with("NotFound") {
        return Ok(None);
    }
    if !response.status().is_redirection() {
        check_status(url, response)?;
    }
    let commit = text(response, "x-repo-commit").ok_or_else(|| not_a_hub(url, "X-Repo-Commit"))?;
    let etag = text(response, "x-linked-etag").or_else(|| text(response, "etag"));
    let etag = etag.ok_or_else(|| not_a_hub(url, "ETag"))?;
    let bytes = text(response, "x-linked-size").or_else(|| text(response, "content-length"));
    let bytes = bytes.and_then(|bytes| bytes.parse().ok()).ok_or_else(|| not_a_hub(url, "Content-Length"))?;
    let (commit, etag) = (commit.to_owned(), etag.trim_start_matches("W/").trim_matches('"').to_owned());
    Ok(Some(Remote { commit, etag, bytes }))
}

fn check_status(url: &str, response: &Response<Body>) -> Result<(), HubError> {
    let url = url.to_owned();
    match response.status().as_u16() {
        200..=299 => Ok(()),
        status @ (401 | 403) => Err(HubError::Forbidden { url, status }),
        status => Err(HubError::Status { url, status }),
    }
}

/// The first byte and the length of the whole file in `bytes 5-9/10`.
fn content_range(response: &Response<Body>) -> Option<(u64, u64)> {
    let range = text(response, "content-range")?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()?))
}

/// Where a redirect leads to.
fn redirect(from: &str, response: &Response<Body>) -> Option<String> {
    let location = text(response, "location").filter(|_| response.status().is_redirection())?;
    Some(if location.starts_with("//") {
        format!("{}:{location}", from.split_once("://")?.0)
    } else if location.starts_with('/') {
        format!("{}{location}", origin(from))
    } else {
        location.to_owned()
    })
}

/// `https://host:port` of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |length| host + length);
    &url[..end]
}

fn text<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn not_a_hub(url: &str, header: &'static str) -> HubError {
    HubError::NotAHub { url: url.to_owned(), header }
}

pub(crate) fn network(url: &str) -> impl FnOnce(ureq::Error) -> HubError {
    move |source| HubError::Network { url: url.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://hub.example/a/b"), "https://hub.example");
        assert_eq!(origin("http://127.0.0.1:80?x=/"), "http://127.0.0.1:80");
        assert_ne!(origin("https://hub.example.evil.example/"), origin("https://hub.example/"));
    }

    #[test]
    fn a_token_does_not_show_in_logs() {
        assert!(!format!("{:?}", Token("secret".to_owned())).contains("secret"));
    }
}
