//! How much of a space a run looks at: an even share, or all of it.

/// How many generated cases a run takes: so many, unless `GW_CASES` says another number.
pub(crate) fn cases(usual: u32) -> u32 {
    let said = std::env::var("GW_CASES").ok();
    said.and_then(|number| number.parse().ok()).unwrap_or(usual)
}

/// The places to look at, of so many: at most `usual` of them, unless `GW_CASES` says how many, or
/// `all`.
pub(crate) fn share(all: usize, usual: usize) -> impl Iterator<Item = usize> {
    let wanted = match std::env::var("GW_CASES").as_deref() {
        Err(_) => usual,
        Ok("all") => all,
        Ok(number) => number.parse().unwrap(),
    };
    let step = all.div_ceil(wanted.max(1)).max(1);
    (0..all).step_by(step)
}

/// Looks at some of many, on every processor; of what is wrong, the shortest is shown.
pub(crate) fn each(
    what: &str,
    places: impl Iterator<Item = usize>,
    look: impl Fn(usize) -> Result<(), String> + Sync,
) {
    let places: Vec<usize> = places.collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut wrong: Vec<String> = std::thread::scope(|scope| {
        let start = |worker: usize| {
            let (places, look) = (&places, &look);
            scope.spawn(move || {
                let own = places.iter().skip(worker).step_by(workers);
                own.filter_map(|place| look(*place).err())
                    .collect::<Vec<_>>()
            })
        };
        let running: Vec<_> = (0..workers).map(start).collect();
        let ended = running.into_iter().map(|worker| worker.join().unwrap());
        ended.flatten().collect()
    });
    println!("{what}: {}", places.len());
    wrong.sort_by_key(|it| (it.len(), it.clone()));
    let shown = wrong.iter().take(5).map(String::as_str);
    let shown: Vec<&str> = shown.collect();
    assert!(
        wrong.is_empty(),
        "{} of {} {what}:\n{}",
        wrong.len(),
        places.len(),
        shown.join("\n")
    );
}
