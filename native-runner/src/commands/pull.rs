//! `crossrank pull`: a model into the Hugging Face cache.

use crate::cli::PullArguments;
use crate::model::{EMBEDDED, download, find, hub, licence};
use crate::output::{say, write_stdout};

pub(crate) fn run(arguments: &PullArguments) -> anyhow::Result<()> {
    let entry = find(&arguments.name)?;
    if entry.name == EMBEDDED {
        say("this model is part of the program; there is nothing to download");
        return Ok(());
    }
    say(licence(&entry));
    let folder = download(&hub(&arguments.network), &entry)?;
    write_stdout(format!("{}\n", folder.display()).as_bytes())
}
