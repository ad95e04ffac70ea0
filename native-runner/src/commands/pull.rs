//! `crossrank pull`: a model or a collection into the Hugging Face cache.

use crossrank_hub::Dataset;

use crate::cli::PullArguments;
use crate::model::{EMBEDDED, download, find, hub, licence, origin};
use crate::output::{say, write_stdout};

pub(crate) fn run(arguments: &PullArguments) -> anyhow::Result<()> {
    let hub = hub(&arguments.network);
    if let Ok(dataset) = Dataset::find(&arguments.name, &arguments.split) {
        say(origin(&dataset));
        let folder = download(&hub, &dataset)?;
        return write_stdout(format!("{}\n", folder.display()).as_bytes());
    }
    let entry = find(&arguments.name)?;
    if entry.name == EMBEDDED {
        say("this model is part of the program; there is nothing to download");
        return Ok(());
    }
    say(licence(&entry));
    let folder = download(&hub, &entry)?;
    write_stdout(format!("{}\n", folder.display()).as_bytes())
}
