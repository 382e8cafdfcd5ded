//! Which version of the protocol both sides speak.

use super::connect::Connect;
use crate::facts::{Mode, Role};
use crate::settings::compatibility::Protocol;

/// The client speaks none of the versions that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client speaks protocol {client_min} to {client_max}, the gateway {expected}")]
pub struct Mismatch {
    /// The oldest that the client speaks.
    pub client_min: u64,
    /// The newest that the client speaks.
    pub client_max: u64,
    /// The newest that is spoken here.
    pub expected: u64,
    /// The oldest that a probe may speak.
    pub oldest_for_probes: u64,
}

/// Who speaks, as far as the version depends on it.
#[derive(Clone, Copy)]
pub(super) struct Speaker {
    /// `minProtocol`.
    pub(super) min: u64,
    /// `maxProtocol`.
    pub(super) max: u64,
    /// A client that only looks whether the gateway is there.
    pub(super) probe: bool,
    /// A node in the role node.
    pub(super) node: bool,
}

/// The version that is spoken with a client, which the answer to it names.
///
/// A probe, or a node in the role node, may be older than others; it is answered in the newest
/// version all the same. A probe's range may even be upside down. Observed: `protocol/probe/3-3`,
/// `protocol/probe/4-3`, `protocol/node/1-3`.
///
/// # Errors
///
/// [`Mismatch`].
pub fn negotiate(protocol: &Protocol, connect: &Connect) -> Result<u64, Mismatch> {
    let claims = connect.claims();
    meet(
        protocol,
        Speaker {
            min: connect.min_protocol,
            max: connect.max_protocol,
            probe: claims.mode == Mode::Probe,
            node: claims.mode == Mode::Node && claims.role == Role::Node,
        },
    )
}

pub(super) fn meet(protocol: &Protocol, speaker: Speaker) -> Result<u64, Mismatch> {
    let Speaker { min, max, .. } = speaker;
    let meets = |oldest: u64| max >= oldest && min <= protocol.current;
    let ordered = min <= max;
    if ordered && meets(protocol.oldest) {
        return Ok(max.min(protocol.current));
    }
    let may_be_old = speaker.probe || speaker.node && ordered;
    if may_be_old && meets(protocol.oldest_for_probes_and_nodes) {
        return Ok(protocol.current);
    }
    Err(Mismatch {
        client_min: min,
        client_max: max,
        expected: protocol.current,
        oldest_for_probes: protocol.oldest_for_probes_and_nodes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `protocol/*` rows: those of protocol 3, and of 4, whose probes and nodes may speak 3.
    #[test]
    fn ranges_are_met_as_observed() {
        let three = Protocol {
            current: 3,
            oldest: 3,
            oldest_for_probes_and_nodes: 3,
        };
        let four = Protocol {
            current: 4,
            oldest: 4,
            oldest_for_probes_and_nodes: 3,
        };
        let rows = [
            (1, 1, [None; 4]),
            (1, 2, [None; 4]),
            (1, 3, [Some(3), None, Some(4), Some(4)]),
            (3, 3, [Some(3), None, Some(4), Some(4)]),
            (3, 4, [Some(3), Some(4), Some(4), Some(4)]),
            (4, 4, [None, Some(4), Some(4), Some(4)]),
            (4, 5, [None, Some(4), Some(4), Some(4)]),
            (5, 6, [None; 4]),
            (1, 99, [Some(3), Some(4), Some(4), Some(4)]),
            (4, 3, [None, None, Some(4), None]),
            (3, 2, [None; 4]),
        ];
        for (min, max, expected) in rows {
            let with = |protocol: &Protocol, probe, node| {
                let speaker = Speaker {
                    min,
                    max,
                    probe,
                    node,
                };
                meet(protocol, speaker).ok()
            };
            let met = [
                with(&three, false, false),
                with(&four, false, false),
                with(&four, true, false),
                with(&four, false, true),
            ];
            assert_eq!(met, expected, "{min} to {max}");
        }
    }

    /// Where older clients may come in, they are answered in their own version.
    #[test]
    fn an_older_client_is_spoken_to_in_its_version() {
        let speaker = Speaker {
            min: 3,
            max: 3,
            probe: false,
            node: false,
        };
        assert_eq!(meet(&Protocol::default(), speaker), Ok(3));
    }
}
