//! One file: resumed where an earlier attempt ended, hashed as it arrives, in place only when whole.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::HubError;
use crate::cache::{make_parent, remove, storage_error};
use crate::client::{Arriving, Backoff, Client, network};

const BUFFER_BYTES: usize = 1 << 16;
/// A connection that brought as much as this before it broke is not counted as a failure.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A file to download.
pub(crate) struct Wanted<'a> {
    /// Of one commit, so that its bytes never change.
    pub(crate) url: &'a str,
    pub(crate) bytes: u64,
    /// Every hash that is known of it, in hexadecimal.
    pub(crate) sha256: Vec<&'a str>,
}

impl Wanted<'_> {
    /// Whether `blob` is the whole file already.
    pub(crate) fn is_at(&self, blob: &Path) -> bool {
        fs::metadata(blob).is_ok_and(|found| found.len() == self.bytes)
    }

    /// Downloads to `blob`, by way of `blob.incomplete`; `observer` is told of the bytes there are.
    pub(crate) fn download(
        &self,
        client: &Client,
        blob: &Path,
        observer: &mut dyn FnMut(u64),
    ) -> Result<(), HubError> {
        let mut part = Part::open(blob, self.bytes)?;
        observer(part.received);
        let mut backoff = Backoff::default();
        while part.received < self.bytes {
            let before = part.received;
            let arriving = client.get(self.url, part.received, self.bytes);
            match arriving.and_then(|arriving| part.append(self, arriving, observer)) {
                Err(error) if !error.is_transient() => return Err(error),
                Err(_) if part.received >= before + PROGRESS_BYTES => backoff = Backoff::default(),
                Err(error) if !backoff.pause() => return Err(error),
                _ => {}
            }
        }
        part.finish(self, blob)
    }

    fn mismatch(&self, expected: String, found: String) -> HubError {
        HubError::IntegrityMismatch { url: self.url.to_owned(), expected, found }
    }
}

/// The beginning of a file, on its way.
struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    received: u64,
}

impl Part {
    /// Takes up what an earlier attempt left; more than the whole file is of no use.
    fn open(blob: &Path, bytes: u64) -> Result<Self, HubError> {
        let mut path = blob.as_os_str().to_owned();
        path.push(".incomplete");
        let path = PathBuf::from(path);
        make_parent(&path)?;
        let open = || -> io::Result<(File, Sha256, u64)> {
            let mut file = File::options().create(true).read(true).append(true).open(&path)?;
            if file.metadata()?.len() > bytes {
                file.set_len(0)?;
            }
            let (mut hash, mut buffer, mut received) = (Sha256::new(), vec![0; BUFFER_BYTES], 0);
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    return Ok((file, hash, received));
                }
                hash.update(&buffer[..read]);
                received += read as u64;
            }
        };
        let (file, hash, received) = open().map_err(storage_error(&path, bytes))?;
        Ok(Self { path, file, hash, received })
    }

    /// Writes what arrives. A connection that breaks is a transient error, and keeps what came.
    fn append(
        &mut self,
        wanted: &Wanted,
        mut arriving: Arriving,
        observer: &mut dyn FnMut(u64),
    ) -> Result<(), HubError> {
        if arriving.start != self.received {
            self.restart(wanted)?;
            if arriving.start != 0 {
                return Err(self.interrupted(wanted));
            }
        }
        let mut buffer = vec![0; BUFFER_BYTES];
        while self.received < wanted.bytes {
            let missing = wanted.bytes - self.received;
            let room = usize::try_from(missing).map_or(BUFFER_BYTES, |missing| missing.min(BUFFER_BYTES));
            let read = arriving.body.read(&mut buffer[..room]);
            let read = read.map_err(|source| network(wanted.url)(source.into()))?;
            if read == 0 {
                return Err(self.interrupted(wanted));
            }
            self.file.write_all(&buffer[..read]).map_err(storage_error(&self.path, missing))?;
            self.hash.update(&buffer[..read]);
            self.received += read as u64;
            observer(self.received);
        }
        Ok(())
    }

    fn restart(&mut self, wanted: &Wanted) -> Result<(), HubError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(storage_error(&self.path, wanted.bytes))?;
        (self.hash, self.received) = (Sha256::new(), 0);
        Ok(())
    }

    fn interrupted(&self, wanted: &Wanted) -> HubError {
        let url = wanted.url.to_owned();
        HubError::Interrupted { url, received: self.received, expected: wanted.bytes }
    }

    /// Puts the file in its place if it is the one that was wanted, and else deletes it.
    fn finish(self, wanted: &Wanted, blob: &Path) -> Result<(), HubError> {
        let stored = |file: &File| file.sync_all().and_then(|()| file.metadata());
        let length = stored(&self.file).map_err(storage_error(&self.path, wanted.bytes))?.len();
        if length != wanted.bytes {
            // Where locks do nothing (some network disks), another process wrote into it.
            remove(&self.path)?;
            return Err(wanted.mismatch(format!("{} bytes", wanted.bytes), format!("{length} bytes")));
        }
        let found: String = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        for expected in &wanted.sha256 {
            if !expected.eq_ignore_ascii_case(&found) {
                remove(&self.path)?;
                return Err(wanted.mismatch(format!("sha256 {expected}"), format!("sha256 {found}")));
            }
        }
        fs::rename(&self.path, blob).map_err(storage_error(blob, wanted.bytes))
    }
}
