//! Whether this is the inside of a container, and whose network it uses. What follows for the
//! facts is [`super::unavailable`].

use std::fmt;
use std::fs;
use std::path::Path;

/// A container, seen from its inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What shows it, as a sentence without its stop.
    pub sign: String,
    /// Whose network it uses.
    pub network: Network,
}

/// Whose network a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Its own: loopback in it is not that of the host.
    Own,
    /// That of the machine, or of the virtual machine that it is.
    Host,
    /// The system does not say.
    Unknown,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = match self.network {
            Network::Own => "with a network of its own",
            Network::Host => "that uses the network of its host",
            Network::Unknown => "and the system does not say whose network it uses",
        };
        write!(f, "a container ({}) {network}", self.sign)
    }
}

/// Looks for signs of a container, in files below `root` and in the environment:
///
/// - `/.dockerenv` (Docker), `/run/.containerenv` (Podman);
/// - `/run/systemd/container` and the variable `container`, the interface of
///   <https://systemd.io/CONTAINER_INTERFACE>. WSL sets it too and is none;
/// - `KUBERNETES_SERVICE_HOST`, which Kubernetes sets in every pod;
/// - the control group of this process, where it is named as the runtimes do.
///
/// Anybody who starts the program can set the variables, and a tool that only borrows the files of
/// an image shows the same signs: what must not be wrong asks [`Container::network`] too.
#[must_use]
pub fn detect(root: &Path, variable: impl Fn(&str) -> Option<String>) -> Option<Container> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let file = |path: &str| {
        root.join(path)
            .exists()
            .then(|| format!("there is `/{path}`"))
    };
    let sign = file(".dockerenv")
        .or_else(|| file("run/.containerenv"))
        .or_else(|| {
            let manager = read(root, "run/systemd/container").or_else(|| set("container"))?;
            let manager = manager.trim();
            (!manager.is_empty() && manager != "wsl")
                .then(|| format!("the service manager says `{}`", printable(manager)))
        })
        .or_else(|| {
            set("KUBERNETES_SERVICE_HOST").map(|_| "`KUBERNETES_SERVICE_HOST` is set".to_owned())
        })
        .or_else(|| {
            let groups = read(root, "proc/self/cgroup")?;
            let group = groups.lines().find_map(runtime)?;
            Some(format!("its control group is of `{group}`"))
        })?;
    Some(Container {
        sign,
        network: network(root),
    })
}

/// Whose network this process uses. Linux shows the limits of the whole machine in `/proc/sys/net`
/// only to the network namespace with which it started (`net/core/sysctl_net_core.c`:
/// `net_core_table` is registered for `init_net`, `netns_core_table` for every one).
fn network(root: &Path) -> Network {
    let core = root.join("proc/sys/net/core");
    if core.join("netdev_max_backlog").exists() {
        Network::Host
    } else if core.join("somaxconn").exists() {
        Network::Own
    } else {
        Network::Unknown
    }
}

/// The runtime that a line of `/proc/self/cgroup` names: "number:controllers:path". With a
/// namespace of its own (`cgroup_namespaces(7)`), the path says nothing. Units of the host may be
/// named like those of a runtime: `docker.service` and `docker-compose.service` are.
fn runtime(line: &str) -> Option<&'static str> {
    let named = |part: &str| match part {
        "docker" => Some("Docker"),
        "lxc" => Some("LXC"),
        _ if part.starts_with("docker-") && part.ends_with(".scope") => Some("Docker"),
        _ if part.starts_with("lxc.payload") => Some("LXC"),
        _ if part.starts_with("kubepods") => Some("Kubernetes"),
        _ if part.starts_with("cri-containerd-") => Some("containerd"),
        _ if part.starts_with("crio-") => Some("CRI-O"),
        _ if part.starts_with("libpod-") => Some("Podman"),
        _ => None,
    };
    line.splitn(3, ':').nth(2)?.split('/').find_map(named)
}

fn read(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(root.join(path)).ok()
}

/// A word of the environment as it may be shown.
fn printable(text: &str) -> String {
    let shown = text.chars().filter(|letter| !letter.is_control());
    shown.take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with their texts.
    type Texts<'a> = &'a [(&'a str, &'a str)];

    /// The sign and the network that a root folder with these files and variables has.
    fn seen(files: Texts<'_>, variables: Texts<'_>) -> Option<Container> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        detect(root.path(), |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn containers_show_themselves() {
        let signs: [(Texts<'_>, Texts<'_>, &str); 9] = [
            (&[(".dockerenv", "")], &[], "there is `/.dockerenv`"),
            (
                &[("run/.containerenv", "")],
                &[],
                "there is `/run/.containerenv`",
            ),
            (
                &[("run/systemd/container", "lxc\n")],
                &[],
                "the service manager says `lxc`",
            ),
            (
                &[],
                &[("container", "oci\u{1b}[0m")],
                "the service manager says `oci[0m`",
            ),
            (
                &[],
                &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
                "`KUBERNETES_SERVICE_HOST` is set",
            ),
            (
                &[("proc/self/cgroup", "0::/system.slice/docker-3f9a.scope\n")],
                &[],
                "its control group is of `Docker`",
            ),
            (
                &[("proc/self/cgroup", "12:cpu,cpuacct:/docker/3f9a\n")],
                &[],
                "its control group is of `Docker`",
            ),
            (
                &[(
                    "proc/self/cgroup",
                    "0::/kubepods.slice/kubepods-pod1.slice/x\n",
                )],
                &[],
                "its control group is of `Kubernetes`",
            ),
            (
                &[("proc/self/cgroup", "0::/lxc.payload.mine/init.scope\n")],
                &[],
                "its control group is of `LXC`",
            ),
        ];
        for (files, variables, sign) in signs {
            let seen = seen(files, variables).unwrap();
            assert_eq!(seen.sign, sign);
            assert!(
                seen.to_string()
                    .starts_with(&format!("a container ({sign}) "))
            );
        }
    }

    #[test]
    fn what_is_no_container_does_not() {
        let hosts: [(Texts<'_>, Texts<'_>); 5] = [
            (&[], &[]),
            (
                &[("proc/self/cgroup", "0::/user.slice/user-1000.slice\n")],
                &[],
            ),
            (
                &[(
                    "proc/self/cgroup",
                    "0::/system.slice/docker-compose.service\nodd\n",
                )],
                &[],
            ),
            (&[], &[("container", " "), ("KUBERNETES_SERVICE_HOST", "")]),
            (&[("run/systemd/container", "wsl\n")], &[]),
        ];
        for (files, variables) in hosts {
            assert_eq!(seen(files, variables), None, "{files:?} {variables:?}");
        }
    }

    #[test]
    fn a_network_namespace_shows_fewer_limits() {
        let docker = (".dockerenv", "");
        let every = ("proc/sys/net/core/somaxconn", "4096");
        let first = ("proc/sys/net/core/netdev_max_backlog", "1000");
        let network = |files: Texts<'_>| seen(files, &[]).unwrap().network;
        assert_eq!(network(&[docker]), Network::Unknown);
        assert_eq!(network(&[docker, every]), Network::Own);
        assert_eq!(network(&[docker, every, first]), Network::Host);
    }
}
