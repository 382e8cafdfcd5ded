//! Standings in memory, each at its version, and batches of commits to them.
//!
//! What every store checks is checked here: versions and limits. Where it is kept beyond
//! memory is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::{Change, Write};
use super::standing::Standing;
use super::store::{Limits, Look, StoreError, Version};

/// What is remembered, by device id: of all devices, or of those that a batch is about.
#[derive(Debug, Default)]
pub(super) struct Kept {
    devices: BTreeMap<Box<str>, Entry>,
    totals: Totals,
}

/// A standing that is not empty, at its version. Whoever loads it shares it.
pub(super) type Entry = (Arc<Standing>, Version);

/// What is counted of all devices, so that a commit looks at no other device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// How many have a request that waits, or a node's.
    pub(super) requests: usize,
    /// How many have a record.
    pub(super) devices: usize,
    /// Counts commits, so that no version comes twice.
    pub(super) commits: u64,
}

impl Totals {
    /// Counts one more device.
    pub(super) fn count(&mut self, standing: &Standing) {
        self.requests += usize::from(waits(standing));
        self.devices += usize::from(is_paired(standing));
    }
}

impl Kept {
    /// What is kept elsewhere of the devices that a batch is about, and what is counted of all.
    pub(super) fn part(devices: BTreeMap<Box<str>, Entry>, totals: Totals) -> Self {
        Kept { devices, totals }
    }

    /// What is remembered of a device.
    pub(super) fn load(&self, device_id: &str) -> Entry {
        self.devices.get(device_id).cloned().unwrap_or_default()
    }

    /// All of it, in the order of device ids.
    pub(super) fn list(&self) -> Vec<(Standing, Version)> {
        self.devices.values().map(unshared).collect()
    }

    /// Looks at what has a request that waits, in the same order.
    pub(super) fn waiting(&self, look: &mut Look<'_>) {
        let all = self.devices.values();
        let mut waiting = all.filter(|(standing, _)| standing.pending.is_some());
        // Whoever looks may have seen enough.
        let _ = waiting.try_for_each(|(standing, version)| look(standing, *version));
    }

    /// The device whose request waits by this id.
    pub(super) fn device_of_request(&self, request_id: &str) -> Option<Box<str>> {
        let waiting = self.devices.iter().find(|(_, (standing, _))| {
            let pending = standing.pending.as_ref();
            pending.is_some_and(|pending| &*pending.request_id == request_id)
        });
        waiting.map(|(device, _)| device.clone())
    }

    /// Begins a batch. Nothing else may be taken before it is.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            kept: self,
            written: BTreeMap::new(),
            totals: self.totals,
        }
    }

    /// Takes over what a batch wrote, unless it is here already: as what another one reads may be.
    pub(super) fn take(&mut self, written: Written) {
        if self.totals.commits >= written.totals.commits {
            return;
        }
        self.totals = written.totals;
        for (device, entry) in written.devices {
            match entry {
                Some(entry) => self.devices.insert(device, entry),
                None => self.devices.remove(&device),
            };
        }
    }

    /// What is counted.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }
}

/// Commits that are worked out, and that nobody sees yet.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    kept: &'a Kept,
    written: BTreeMap<Box<str>, Option<Entry>>,
    totals: Totals,
}

/// What a batch writes: of each device what is then kept of it, `None` when nothing is.
#[derive(Debug)]
pub(super) struct Written {
    devices: BTreeMap<Box<str>, Option<Entry>>,
    totals: Totals,
}

impl Batch<'_> {
    /// Adds a commit, after those that it holds. One that is refused leaves the batch as it is.
    pub(super) fn add(
        &mut self,
        change: &Change,
        expected: Version,
        limits: Limits,
    ) -> Result<Version, StoreError> {
        if change.device_id.is_empty() {
            return Ok(expected);
        }
        let before = self.entry(&change.device_id);
        let nothing = Standing::default();
        let (before, version) = before
            .map_or((&nothing, Version::NOTHING), |(standing, version)| {
                (&**standing, *version)
            });
        let by = change.asked_by.as_ref();
        let asked = by.is_none_or(|(device, then)| self.version(device) == *then);
        if version != expected || !asked {
            return Err(StoreError::Conflict);
        }
        if change.is_empty() {
            return Ok(expected);
        }
        let after = change.apply(before);
        if waits(&after) && !waits(before) && self.totals.requests >= limits.requests {
            return Err(StoreError::TooManyRequests);
        }
        let paired = matches!(change.record, Write::Put(_)) && before.record.is_none();
        if paired && self.totals.devices >= limits.devices {
            return Err(StoreError::TooManyDevices);
        }
        let counted = |total: usize, was: bool, is: bool| match (was, is) {
            (false, true) => total + 1,
            (true, false) => total.saturating_sub(1),
            (true, true) | (false, false) => total,
        };
        let totals = Totals {
            requests: counted(self.totals.requests, waits(before), waits(&after)),
            devices: counted(self.totals.devices, is_paired(before), is_paired(&after)),
            commits: self.totals.commits + 1,
        };
        let version = Version(totals.commits);
        let (entry, version) = match after == nothing {
            true => (None, Version::NOTHING),
            false => (Some((after.into(), version)), version),
        };
        self.totals = totals;
        self.written.insert((&change.device_id).into(), entry);
        Ok(version)
    }

    /// What is kept of a device after the commits that it holds.
    fn entry(&self, device: &str) -> Option<&Entry> {
        match self.written.get(device) {
            Some(written) => written.as_ref(),
            None => self.kept.devices.get(device),
        }
    }

    fn version(&self, device: &str) -> Version {
        self.entry(device).map_or(Version::NOTHING, |entry| entry.1)
    }

    /// What there is to write.
    pub(super) fn written(self) -> Written {
        Written {
            devices: self.written,
            totals: self.totals,
        }
    }
}

impl Written {
    /// Whether nothing is written.
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// What is kept of each device, `None` when nothing is.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&str, Option<&Entry>)> {
        self.devices
            .iter()
            .map(|(device, entry)| (&**device, entry.as_ref()))
    }

    /// The same, given away.
    pub(super) fn into_devices(self) -> impl Iterator<Item = (Box<str>, Option<Entry>)> {
        self.devices.into_iter()
    }

    /// What is counted then.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }
}

fn unshared((standing, version): &Entry) -> (Standing, Version) {
    (Standing::clone(standing), *version)
}

fn waits(standing: &Standing) -> bool {
    standing.pending.is_some() || standing.node_pending.is_some()
}

fn is_paired(standing: &Standing) -> bool {
    standing.record.is_some()
}
