//! Network namespaces on one bridge: 10.77.0.ID for each machine, 10.77.0.254 for this process.
//! Knows nothing of disks.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::{finish, run};

const BRIDGE: &str = "hub0";

/// The bridge and the namespaces.
pub struct Network {
    /// Each keeps its namespace alive.
    holders: Vec<Child>,
}

/// What happens to packets on their way from one machine to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Filter {
    /// None arrives.
    Drop,
    /// Each is lost with this probability.
    Lose(f64),
    /// None arrives, and whoever sends one for a connection is told that there is none.
    Reset,
}

impl Network {
    /// Builds it.
    pub fn new(count: u64) -> Result<Self> {
        run("ip", &["link", "set", "lo", "up"])?;
        run("ip", &["link", "add", BRIDGE, "type", "bridge"])?;
        run("ip", &["addr", "add", "10.77.0.254/24", "dev", BRIDGE])?;
        run("ip", &["link", "set", BRIDGE, "up"])?;
        let mut network = Network { holders: Vec::new() };
        for id in 1..=count {
            network.connect(id)?;
        }
        Ok(network)
    }

    fn connect(&mut self, id: u64) -> Result<()> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo there; exec sleep infinity"]);
        let mut holder =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("starting unshare")?;
        let (mut said, told) = (String::new(), holder.stdout.take().context("stdout is piped")?);
        BufReader::new(told).read_line(&mut said)?;
        ensure!(said == "there\n", "a namespace for the network of machine {id} cannot be made");
        let pid = holder.id().to_string();
        self.holders.push(holder);
        let (cable, address) = (cable(id), format!("{}/24", Network::address(id)));
        run("ip", &["link", "add", &cable, "type", "veth", "peer", "name", "e0", "netns", &pid])?;
        run("ip", &["link", "set", &cable, "master", BRIDGE, "up"])?;
        self.inside(id, &["ip", "link", "set", "lo", "up"])?;
        self.inside(id, &["ip", "addr", "add", &address, "dev", "e0"])?;
        self.inside(id, &["ip", "link", "set", "e0", "up"])?;
        Ok(())
    }

    /// Where a machine is reached.
    pub fn address(id: u64) -> String {
        format!("10.77.0.{id}")
    }

    /// A command that runs a program on a machine, as the process that it starts.
    pub fn on(&self, id: u64, program: &Path) -> Result<Command> {
        let holder = self.holders.get(id as usize - 1).with_context(|| format!("no machine {id}"))?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", holder.id())).arg("--").arg(program);
        Ok(command)
    }

    fn inside(&self, id: u64, command: &[&str]) -> Result<String> {
        finish(self.on(id, Path::new(command[0]))?.args(&command[1..]))
    }

    /// From now on packets from `from` to `to` are filtered; the way back is not.
    pub fn filter(&self, (from, to): (u64, u64), filter: Filter) -> Result<()> {
        let source = Network::address(from);
        let rule = match filter {
            Filter::Drop => "-j DROP".to_owned(),
            Filter::Lose(share) => format!("-m statistic --mode random --probability {share} -j DROP"),
            Filter::Reset => "-p tcp -j REJECT --reject-with tcp-reset".to_owned(),
        };
        let command = ["iptables", "-w", "-A", "INPUT", "-s", &source];
        self.inside(to, &command.into_iter().chain(rule.split(' ')).collect::<Vec<_>>()).map(drop)
    }

    /// From now on nothing passes between two machines.
    pub fn cut(&self, one: u64, other: u64) -> Result<()> {
        self.filter((one, other), Filter::Drop)?;
        self.filter((other, one), Filter::Drop)
    }

    /// A machine sends no faster than this.
    pub fn slow(&self, id: u64, kilobits: u32) -> Result<()> {
        let rate = format!("{kilobits}kbit");
        let limit = ["tc", "qdisc", "add", "dev", "e0", "root", "tbf", "rate", &rate, "burst", "16kb"];
        self.inside(id, &[&limit[..], &["latency", "800ms"]].concat()).map(drop)
    }

    /// Pulls a machine's plug, or puts it back.
    pub fn plug(&self, id: u64, plugged: bool) -> Result<()> {
        run("ip", &["link", "set", &cable(id), if plugged { "up" } else { "down" }]).map(drop)
    }

    /// Everything passes again.
    pub fn heal(&self) -> Result<()> {
        for id in 1..=self.holders.len() as u64 {
            self.plug(id, true)?;
            self.inside(id, &["iptables", "-w", "-F"])?;
            if self.inside(id, &["tc", "qdisc", "show", "dev", "e0"])?.contains("tbf") {
                self.inside(id, &["tc", "qdisc", "del", "dev", "e0", "root"])?;
            }
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // All of it ends with this process in any case.
        for (id, holder) in (1..).zip(&mut self.holders) {
            let _ = run("ip", &["link", "del", &cable(id)]);
            let _ = holder.kill();
            let _ = holder.wait();
        }
        let _ = run("ip", &["link", "del", BRIDGE]);
    }
}

fn cable(id: u64) -> String {
    format!("cable{id}")
}
