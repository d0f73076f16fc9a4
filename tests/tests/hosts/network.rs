//! Hosts as network namespaces on one bridge, which lies in a namespace of its own: the machine's network is not touched.

use std::{
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Result, ensure};
use tandem_harness::{Program, command, run};

/// All hosts are in `10.77.0.0/24`.
const SUBNET: &str = "10.77.0";
const SWITCH: &str = "switch";

/// Removed when dropped, also when a test panics.
#[derive(Debug)]
pub(crate) struct Network {
    /// Of this test alone: others of this process, and of others, run meanwhile.
    name: String,
    hosts: Vec<&'static str>,
    made: Vec<String>,
}

impl Network {
    /// Fails when this account may not make namespaces, or there is no `ip`.
    pub(crate) fn of(hosts: &[&'static str]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tandem-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut network = Self { name, hosts: hosts.to_vec(), made: Vec::new() };
        for host in [&[SWITCH], hosts].concat() {
            let namespace = network.namespace(host);
            ip(&["netns", "add", &namespace])?;
            network.made.push(namespace);
            network.set_link(host, "lo", "up")?;
        }
        let switch = network.namespace(SWITCH);
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        network.set_link(SWITCH, "bridge", "up")?;
        for host in hosts {
            let (there, address) = (network.namespace(host), format!("{}/24", network.address(host)));
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
        program.through("ip", &["netns", "exec", &self.namespace(host)])
    }

    /// A command as this host has it.
    pub(crate) fn command_on(&self, host: &str, program: &Path) -> process::Command {
        let mut ip = command(Path::new("ip"));
        ip.args(["netns", "exec", &self.namespace(host)]).arg(program);
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
        ip(&["-n", &self.namespace(on), "link", "set", link, state])
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in &self.made {
            if let Err(error) = ip(&["netns", "delete", namespace]) {
                eprintln!("warning: {error:#}");
            }
        }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let outcome = run(command(Path::new("ip")).args(args), "");
    ensure!(outcome.code == 0, "`ip {}` ended with {}: {}", args.join(" "), outcome.code, outcome.stderr);
    Ok(())
}
