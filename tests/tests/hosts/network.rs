//! Hosts as network namespaces on one bridge, which lies in a namespace of its own: the machine's network is not touched.

use std::{path::Path, process};

use anyhow::{Result, ensure};
use tandem_harness::{Program, command, run};

/// All hosts are in `10.77.0.0/24`.
const SUBNET: &str = "10.77.0";
const SWITCH: &str = "switch";

/// Removed when dropped, also when a test panics.
#[derive(Debug)]
pub(crate) struct Network {
    hosts: Vec<&'static str>,
}

impl Network {
    /// Fails when this account may not make namespaces, or there is no `ip`.
    pub(crate) fn of(hosts: &[&'static str]) -> Result<Self> {
        let network = Self { hosts: hosts.to_vec() };
        for name in network.names() {
            ip(&["netns", "add", &namespace(name)])?;
            network.set_link(name, "lo", "up")?;
        }
        let switch = namespace(SWITCH);
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        network.set_link(SWITCH, "bridge", "up")?;
        for host in hosts {
            let (there, address) = (namespace(host), format!("{}/24", network.address(host)));
            ip(&["link", "add", host, "netns", &switch, "type", "veth", "peer", "name", "eth0", "netns", &there])?;
            ip(&["-n", &switch, "link", "set", host, "master", "bridge"])?;
            ip(&["-n", &there, "address", "add", &address, "dev", "eth0"])?;
            network.set_link(host, "eth0", "up")?;
            network.plug_in(host)?;
        }
        Ok(network)
    }

    pub(crate) fn address(&self, host: &str) -> String {
        let place = self.hosts.iter().position(|other| *other == host).unwrap_or_default();
        format!("{SUBNET}.{}", place + 1)
    }

    /// The program as this host has it.
    pub(crate) fn on(&self, host: &str, program: Program) -> Program {
        program.through("ip", &["netns", "exec", &namespace(host)])
    }

    /// A command as this host has it.
    pub(crate) fn command_on(&self, host: &str, program: &Path) -> process::Command {
        let mut ip = command(Path::new("ip"));
        ip.args(["netns", "exec", &namespace(host)]).arg(program);
        ip
    }

    /// Pulls the host's cable out of the switch.
    pub(crate) fn pull_out(&self, host: &str) -> Result<()> {
        self.set_link(SWITCH, host, "down")
    }

    pub(crate) fn plug_in(&self, host: &str) -> Result<()> {
        self.set_link(SWITCH, host, "up")
    }

    fn set_link(&self, on: &str, link: &str, state: &str) -> Result<()> {
        ip(&["-n", &namespace(on), "link", "set", link, state])
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(SWITCH).chain(self.hosts.iter().copied())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.names() {
            if let Err(error) = ip(&["netns", "delete", &namespace(name)]) {
                eprintln!("warning: {error:#}");
            }
        }
    }
}

/// Of this process alone: others may run the same test.
fn namespace(name: &str) -> String {
    format!("tandem-{}-{name}", process::id())
}

fn ip(args: &[&str]) -> Result<()> {
    let outcome = run(command(Path::new("ip")).args(args), "");
    ensure!(outcome.code == 0, "`ip {}` ended with {}: {}", args.join(" "), outcome.code, outcome.stderr);
    Ok(())
}
