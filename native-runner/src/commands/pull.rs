//! `crossrank pull`: a model into the Hugging Face cache.

use crossrank_hub::Hub;

use crate::cli::PullArguments;
use crate::model::{EMBEDDED, fetch, find, licence};
use crate::output::{say, write_stdout};

pub(crate) fn run(arguments: &PullArguments) -> anyhow::Result<()> {
    let entry = find(&arguments.name)?;
    if entry.name == EMBEDDED {
        say("this model is part of the program; there is nothing to download");
        return Ok(());
    }
    if Hub::from_env().cached(&entry).is_some() {
        say(licence(&entry));
    }
    let folder = fetch(&entry, &arguments.network)?;
    write_stdout(format!("{}\n", folder.display()).as_bytes())
}
