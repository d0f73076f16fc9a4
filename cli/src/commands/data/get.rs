//! `tandem data get`: data sets for the workers of this machine.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::{
    dataset::{Archive, Source, archive},
    exit::Exit,
    home::{Home, path_or_nothing},
    json,
    output::Output,
};

/// Download CIFAR-10 or CIFAR-100 as published, check it, and unpack it into the data folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem data get cifar10                       into the folder of `tandem up`
  tandem data get cifar100 --data /srv/data
  tandem data get cifar10 --from cifar.tar.gz   on a machine without internet

It needs curl and tar. What was interrupted goes on with the same command.")]
pub(super) struct Get {
    /// Which one
    #[arg(value_parser = ["cifar10", "cifar100"])]
    dataset: String,
    /// Folder with data sets [default: data in the home of `tandem up`]
    #[arg(long, env = "TANDEM_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    data: Option<PathBuf>,
    /// The folder that `tandem up` keeps everything in, if not the default
    #[arg(long, env = "TANDEM_HOME", value_name = "DIR", value_parser = path_or_nothing())]
    dir: Option<PathBuf>,
    /// Another place that has the archive, or a file that is it
    #[arg(long, value_name = "URL|FILE")]
    from: Option<String>,
}

impl Get {
    pub(super) async fn run(self, output: &Output) -> Result<Exit> {
        let Self { dataset, data, dir, from } = self;
        let data = match data.filter(|data| !data.as_os_str().is_empty()) {
            Some(data) => std::path::absolute(data)?,
            None => Home::at(dir)?.data(),
        };
        let mut archive: Archive = archive(&dataset)?;
        let mut file = None;
        match from.map(Source::from) {
            Some(Source::Url(url)) => archive.url = url,
            Some(Source::File(path)) => file = Some(path),
            None => {}
        }
        let present = archive.is_in(&data);
        match file {
            _ if present => {}
            Some(file) => archive.take(&file, &data).await?,
            None => archive.get(&data, output).await?,
        }
        let folder = data.join(archive.folder).display().to_string();
        if output.is_json() {
            output.document(&json::GotDataset { dataset, folder, present })?;
        } else if present {
            output.text(&format!("{dataset} is in {folder} already"))?;
        } else {
            output.text(&format!("{dataset} is in {folder}"))?;
        }
        Ok(Exit::Ok)
    }
}
