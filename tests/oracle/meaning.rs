//! Fingerprints: two policies have the same one exactly where a search finds the same answers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use gw::decide::{at_upgrade, decide, of_page};
use gw::facts::Facts;
use gw::policy::Policy;

use crate::share::{each, share};
use crate::small;

/// Everything that anybody can notice.
fn answers(policy: &Policy, world: &[Facts]) -> String {
    let program = policy.program();
    let all = world.iter().map(|facts| {
        let refused = |found: Option<(_, gw::verdict::Reason)>| found.map(|(_, reason)| reason);
        format!(
            "{} {:?} {:?}",
            decide(program, facts).verdict,
            refused(at_upgrade(program, facts)),
            refused(of_page(program, facts)),
        )
    });
    all.collect::<Vec<_>>().join("\n")
}

/// What was found of a policy, and of the same in the reverse order.
#[derive(Default)]
struct Known {
    prints: BTreeMap<String, (String, String)>,
    meanings: BTreeMap<String, (String, String)>,
}

impl Known {
    fn add(&mut self, text: &str, print: &str, answers: String) -> Result<(), String> {
        let print = print.to_owned();
        let of_print = (answers.clone(), text.to_owned());
        let (known, other) = self.prints.entry(print.clone()).or_insert(of_print);
        if *known != answers {
            return Err(format!("one fingerprint:\n{text}\n{other}"));
        }
        let of_meaning = (print.clone(), text.to_owned());
        let (known, other) = self.meanings.entry(answers).or_insert(of_meaning);
        match *known == print {
            true => Ok(()),
            false => Err(format!("two fingerprints of one meaning:\n{text}\n{other}")),
        }
    }
}

#[test]
fn are_the_same_exactly_for_the_same_answers() {
    let world = small::world();
    let (guards, rules) = (small::guards(), small::rules());
    let known = Mutex::new(Known::default());
    let places: [&[&[String]]; 4] = [
        &[&rules],
        &[&rules, &rules],
        &[&rules, &rules, &rules],
        &[&guards, &guards, &rules],
    ];
    for places in places {
        let all = places.iter().map(|place| place.len()).product();
        each("policies and their reverses", share(all, 12), |number| {
            let mut clauses = small::chosen(places, number);
            for _ in 0..2 {
                let text = small::policy(&clauses);
                let policy = Policy::parse("small.policy", &text).unwrap();
                let print = policy.fingerprint().ok_or("no fingerprint")?;
                let answers = answers(&policy, &world);
                known.lock().unwrap().add(&text, print, answers)?;
                clauses.reverse();
            }
            Ok(())
        });
    }
    let known = known.into_inner().unwrap();
    assert!(known.prints.len() > 1 && known.prints.len() == known.meanings.len());
    println!("{} meanings", known.prints.len());
}
