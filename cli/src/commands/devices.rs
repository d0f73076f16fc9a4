//! `tandem devices`: what each device is like now, and was.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::DevicesRequest;

use crate::{client::Client, exit::Exit, output::Output, render::devices, time};

/// Show how devices are: load, memory, temperature, who uses them, and their last hour
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem devices
  tandem devices gpu-0               one in full, with the processes on it
  tandem devices --job quick/encoder the devices of a job while it had them
  tandem devices --json | jq '.devices[] | select(.now.power_watts > 200)'

All looks of the last hour are kept, and a figure for each minute of a month.
Load and memory of a CPU slot are its host's, with whatever else runs there.")]
pub(crate) struct Devices {
    /// Name or id of a worker [default: all]
    worker: Option<String>,
    /// A job, by its id or EXPERIMENT/JOB: its devices, as long as it had them
    #[arg(long, value_name = "JOB", conflicts_with = "worker")]
    job: Option<String>,
}

impl Devices {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let by_name = self.worker.is_some();
        let request = DevicesRequest { worker: self.worker.unwrap_or_default(), job: self.job.unwrap_or_default() };
        let answer = client.ask("show the devices", async |on| on.devices().show(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.devices.is_empty() && answer.job_id.is_empty() {
            output.note("no workers are connected: `tandem up` starts some");
        } else {
            output.text(&devices::page(&answer, by_name, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}
