//! `--meet-ports`: what a person should know of the chosen ports before a gang fails for want of them.

use std::fs;

use tandem_collective::PortRange;

use crate::device::DeviceName;

/// The system takes ports out of this range where a program asks for any.
const LOCAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const SYSCTL: &str = "net.ipv4.ip_local_port_range";

/// Warns, once, at the start.
pub(crate) fn remark(ports: Option<PortRange>, device: DeviceName) {
    let Some(ports) = ports else { return };
    let local = fs::read_to_string(LOCAL_PORTS).ok().and_then(|text| local_ports(&text));
    let remarks = [too_few(ports, device), privileged(ports), of_the_system(ports, device, local)];
    remarks.into_iter().flatten().for_each(|remark| tracing::warn!("{remark}"));
}

/// The sysctl has two numbers.
fn local_ports(text: &str) -> Option<PortRange> {
    text.split_whitespace().collect::<Vec<_>>().join("-").parse().ok()
}

/// Rank 0 serves the rendezvous, and on a CPU every rank listens for its peers.
fn too_few(ports: PortRange, device: DeviceName) -> Option<String> {
    let cpu = device == DeviceName::Cpu;
    (cpu && ports.count() < 2).then(|| {
        format!(
            "--meet-ports {ports} is one port, and rank 0 of a gang listens on two: no gang can start with this worker as \
             rank 0"
        )
    })
}

fn privileged(ports: PortRange) -> Option<String> {
    (ports.first() < 1024).then(|| {
        format!(
            "--meet-ports {ports}: to listen on ports below 1024 a worker needs to be root, or CAP_NET_BIND_SERVICE"
        )
    })
}

fn of_the_system(ports: PortRange, device: DeviceName, local: Option<PortRange>) -> Option<String> {
    match (device, local) {
        (DeviceName::Cpu, Some(local)) if ports.overlaps(local) => Some(format!(
            "--meet-ports {ports} has ports that this host also gives to outgoing connections ({SYSCTL} is {local}): they \
             may be taken when a gang starts; choose a range apart from that one"
        )),
        (DeviceName::Cuda(_), Some(local)) if !local.is_within(ports) => Some(format!(
            "--meet-ports {ports} holds for the rendezvous only: NCCL listens on any port of {SYSCTL}, which is {local} \
             here; open those between the hosts of the fleet, too, or narrow that setting to ports of {ports}"
        )),
        (DeviceName::Cuda(_), None) => Some(format!(
            "--meet-ports {ports} holds for the rendezvous only: NCCL listens on any port of {SYSCTL}, which could not be \
             read here"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPU: DeviceName = DeviceName::Cuda(0);

    fn ports(text: &str) -> PortRange {
        text.parse().unwrap()
    }

    #[test]
    fn the_setting_of_the_system_is_read() {
        assert_eq!(local_ports("32768\t60999\n"), Some(ports("32768-60999")));
        assert_eq!(local_ports(""), None);
    }

    #[test]
    fn one_port_is_too_few_on_a_cpu() {
        assert!(too_few(ports("29500-29500"), DeviceName::Cpu).is_some_and(|text| text.contains("29500-29500")));
        assert_eq!(too_few(ports("29500-29501"), DeviceName::Cpu), None);
        assert_eq!(too_few(ports("29500-29500"), GPU), None);
    }

    #[test]
    fn ports_of_root_are_allowed_and_said() {
        assert!(privileged(ports("1000-2000")).is_some_and(|text| text.contains("root")));
        assert_eq!(privileged(ports("1024-2000")), None);
    }

    #[test]
    fn on_cpus_a_range_of_its_own_is_best() {
        let said = |local: &str| of_the_system(ports("29500-29531"), DeviceName::Cpu, local_ports(local));
        assert_eq!(said("32768 60999"), None);
        assert!(said("20000 60999").is_some_and(|text| text.contains("20000-60999")));
        assert_eq!(said("nothing"), None);
    }

    #[test]
    fn nccl_keeps_to_the_range_only_if_the_system_does() {
        let said = |local: &str| of_the_system(ports("50000-51000"), GPU, local_ports(local));
        assert!(said("32768 60999").is_some_and(|text| text.contains("NCCL") && text.contains("32768-60999")));
        assert_eq!(said("50000 51000"), None);
        assert_eq!(said("50200 51000"), None);
        assert!(said("nothing").is_some_and(|text| text.contains("could not be read")));
    }
}
