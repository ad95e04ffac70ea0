//! `crossrank verify`: a model's files and scores against what was published about them.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use crossrank::{DeviceChoice, ScoreOptions};
use crossrank_hub::{HubError, ModelEntry, ModelFile, ReferenceScores};
use sha2::{Digest, Sha256};

use crate::cli::{Dtype, EngineArguments, NetworkArguments};
use crate::model::{EMBEDDED, download, find, hub};
use crate::output::{columns, write_stdout};

/// Check a model's file hashes, and its scores against published ones, in f32
///
/// Downloads the model if it is not here. Every line says pass or fail; the exit status is 3 if one failed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  crossrank verify default\n  crossrank verify bge-v2-m3")]
pub(crate) struct VerifyArguments {
    /// A name of `crossrank models`
    #[arg(env = "CROSSRANK_MODEL", value_name = "NAME")]
    name: String,
    /// auto, cpu, gpu, cuda, or part of an adapter's name (`crossrank devices`)
    #[arg(long, env = "CROSSRANK_DEVICE", default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten)]
    network: NetworkArguments,
}

/// What was looked at, what was published, what was found, and whether they agree; nothing to compare with is no
/// verdict.
struct Check {
    what: String,
    expected: String,
    found: String,
    passed: Option<bool>,
}

pub(crate) fn run(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let entry = find(&arguments.name)?;
    let mut checks = Vec::new();
    if entry.name != EMBEDDED {
        let folder = download(&hub(&arguments.network), &entry)?;
        for file in &entry.files {
            checks.push(check_file(&folder, file)?);
        }
    }
    checks.extend(check_scores(&entry, arguments)?);
    let heading = ["check", "published", "found", "verdict"].map(str::to_owned);
    let failed = checks.iter().filter(|check| check.passed == Some(false)).count();
    let compared = checks.iter().filter(|check| check.passed.is_some()).count();
    let rows = checks.into_iter().map(|check| {
        let verdict = check.passed.map_or("nothing published", |passed| if passed { "pass" } else { "fail" });
        [check.what, check.expected, check.found, verdict.to_owned()]
    });
    write_stdout(&columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()))?;
    match failed {
        0 if compared == 0 => Err(HubError::NothingPublished { name: entry.name }.into()),
        0 => write_stdout(format!("{compared} of {compared} checks passed\n").as_bytes()),
        _ => Err(HubError::NotAsPublished { name: entry.name, failed, compared }.into()),
    }
}

fn check_file(folder: &Path, file: &ModelFile) -> anyhow::Result<Check> {
    let path = folder.join(&file.path);
    let mut hash = Hasher(Sha256::new());
    File::open(&path)
        .and_then(|mut file| io::copy(&mut file, &mut hash))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let found: String = hash.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let passed = file.sha256.as_ref().map(|expected| expected.eq_ignore_ascii_case(&found));
    Ok(Check {
        what: format!("sha256 of {}", file.path),
        expected: file.sha256.clone().unwrap_or_default(),
        found,
        passed,
    })
}

/// Hashes what is written to it.
struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check_scores(entry: &ModelEntry, arguments: &VerifyArguments) -> anyhow::Result<Vec<Check>> {
    let published = ReferenceScores::of(&entry.name)?;
    let engine = EngineArguments {
        device: arguments.device.clone(),
        // What was published is of weights in f32.
        dtype: Some(Dtype::F32),
        threads: None,
        memory_budget: None,
        network: arguments.network.clone(),
    };
    let reranker = crate::model::load_named(&entry.name, &engine)?;
    let mut checks = Vec::new();
    for reference in &published {
        let pairs: Vec<(String, String)> =
            reference.scores.iter().map(|score| (score.query.clone(), score.document.clone())).collect();
        let found = reranker.compute_score(&pairs, &ScoreOptions::default())?;
        checks.extend(reference.scores.iter().zip(found).map(|(score, found)| Check {
            what: format!("logit, {}", reference.source),
            expected: format!("{:.4} ± {}", score.logit, reference.tolerance),
            found: format!("{:.4}", found.logit),
            passed: Some((f64::from(found.logit) - score.logit).abs() <= reference.tolerance),
        }));
    }
    Ok(checks)
}
