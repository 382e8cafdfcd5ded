//! Which requests go to the upstream, by method and path: a list of those that may, and
//! the one form that a path is compared in. Whatever the two ends could read differently is no path.

use std::fmt;

/// The methods that only read.
const READING: [&str; 2] = ["GET", "HEAD"];

/// The methods that there may be rules for.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// What the pages of OpenClaw's Control UI are made of. Beside its files and what it is told of its
/// gateway, these are the pages that it gives itself an address for: one that is loaded again asks
/// for them.
pub const CONTROL_UI: [&str; 29] = [
    "/",
    "/index.html",
    "/assets/",
    "/fonts/",
    "/themes/",
    "/provider-icons/",
    "/favicon.ico",
    "/favicon.svg",
    "/favicon-32.png",
    "/apple-touch-icon.png",
    "/manifest.webmanifest",
    "/pwa-192.png",
    "/pwa-512.png",
    "/sw.js",
    "/__openclaw/control-ui-config.json",
    "/avatar/",
    "/agents",
    "/channels",
    "/chat",
    "/config",
    "/cron",
    "/debug",
    "/instances",
    "/logs",
    "/nodes",
    "/overview",
    "/sessions",
    "/skills",
    "/usage",
];

/// The largest body of a request, in bytes, unless it is said otherwise.
const MOST_BODY: u64 = 1 << 20;

/// Which requests go to the upstream: none, unless there is a rule for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    rules: Vec<Rule>,
    /// The largest body of a request, in bytes.
    pub most_body: u64,
}

impl Default for Paths {
    fn default() -> Self {
        Paths {
            rules: Vec::new(),
            most_body: MOST_BODY,
        }
    }
}

/// Methods and a path: `/assets/`, `GET,POST /hooks/`. Without methods, GET and HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    methods: Vec<&'static str>,
    /// One that ends in `/` is for all that begins with it, but for the root.
    path: Path,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRule {
    /// A method that is none, or that is not relayed.
    #[error("`{0}` is no method that is relayed; those are GET, HEAD, POST, PUT, PATCH and DELETE")]
    Method(String),
    /// The path is none.
    #[error("`{path}` is no path: {why}")]
    Path {
        /// As it was written.
        path: String,
        /// What is wrong.
        why: OddPath,
    },
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes to the upstream.
    On,
    /// Only with one of these methods.
    OtherMethod(Vec<&'static str>),
    /// There is no rule for it.
    Not,
}

impl Paths {
    /// Reads rules.
    ///
    /// # Errors
    ///
    /// [`NoRule`] for the first text that is none.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, NoRule> {
        let rules = texts.into_iter().map(|text| Rule::parse(text.as_ref()));
        Ok(Paths {
            rules: rules.collect::<Result<_, _>>()?,
            ..Paths::default()
        })
    }

    /// Whether no request goes to the upstream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What becomes of a request.
    #[must_use]
    pub fn passage(&self, method: &str, path: &Path) -> Passage {
        let rules = self.rules.iter().filter(|rule| rule.is_for(path));
        let mut methods: Vec<&'static str> = Vec::new();
        for known in rules.flat_map(|rule| &rule.methods) {
            if *known == method {
                return Passage::On;
            }
            if !methods.contains(known) {
                methods.push(known);
            }
        }
        match methods.is_empty() {
            true => Passage::Not,
            false => Passage::OtherMethod(methods),
        }
    }
}

/// Whether a request of this method has a body.
pub(super) fn has_body(method: &str) -> bool {
    !READING.contains(&method)
}

impl Rule {
    fn parse(text: &str) -> Result<Self, NoRule> {
        let (methods, path) = match text.trim().rsplit_once(' ') {
            Some((methods, path)) => (Some(methods), path),
            None => (None, text.trim()),
        };
        let mut listed = match methods {
            None => READING.to_vec(),
            Some(methods) => methods.split(',').map(method).collect::<Result<_, _>>()?,
        };
        if listed.contains(&"GET") && !listed.contains(&"HEAD") {
            listed.push("HEAD");
        }
        let path = Path::parse(path).map_err(|why| NoRule::Path {
            path: path.to_owned(),
            why,
        })?;
        Ok(Rule {
            methods: listed,
            path,
        })
    }

    fn is_for(&self, path: &Path) -> bool {
        let (own, asked) = (&*self.path.0, &*path.0);
        own == asked || own != "/" && own.ends_with('/') && asked.starts_with(own)
    }
}

fn method(text: &str) -> Result<&'static str, NoRule> {
    let text = text.trim();
    let known = METHODS.into_iter().find(|known| *known == text);
    known.ok_or_else(|| NoRule::Method(text.to_owned()))
}

/// A path that both ends read alike: its text without escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Box<str>);

/// Why two ends could take a path for two different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OddPath {
    /// It begins otherwise, or there is none.
    #[error("a path begins with `/`")]
    Beginning,
    /// `%` without two digits, or what it stands for is no UTF-8.
    #[error("what an escape stands for cannot be read")]
    Escape,
    /// `%2f`, `%5c`, `%2e`, `%25`, and characters that do not print.
    #[error("an escape hides a separator, a dot, a `%` or a control character")]
    Hidden,
    /// A backslash, or a control character.
    #[error("it holds a backslash or a control character")]
    Character,
    /// `//`.
    #[error("it has an empty part (`//`)")]
    Empty,
    /// `.` and `..`, also with parameters behind.
    #[error("it has a part that leads elsewhere (`.` or `..`)")]
    Dots,
}

impl Path {
    /// Reads the path of a request, without its query.
    ///
    /// # Errors
    ///
    /// [`OddPath`].
    pub fn parse(raw: &str) -> Result<Self, OddPath> {
        if !raw.starts_with('/') {
            return Err(OddPath::Beginning);
        }
        let mut bytes = Vec::with_capacity(raw.len());
        let mut rest = raw.as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let (byte, behind) = escaped(rest).ok_or(OddPath::Escape)?;
            if matches!(byte, b'/' | b'\\' | b'.' | b'%') || byte.is_ascii_control() {
                return Err(OddPath::Hidden);
            }
            bytes.push(byte);
            rest = behind;
        }
        let text = String::from_utf8(bytes).map_err(|_| OddPath::Escape)?;
        if text.contains(|c: char| c == '\\' || c.is_control()) {
            return Err(OddPath::Character);
        }
        let mut parts = text.split('/').skip(1).peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() && parts.peek().is_some() {
                return Err(OddPath::Empty);
            }
            // Some servers cut off what follows a semicolon before they look.
            let bare = part.split(';').next().unwrap_or_default();
            if matches!(bare, "." | "..") || bare.is_empty() && !part.is_empty() {
                return Err(OddPath::Dots);
            }
        }
        Ok(Path(text.into()))
    }

    /// Whether it is this path or lies under it, as the laxest of servers would see it.
    #[must_use]
    pub fn is_within(&self, other: &str) -> bool {
        let lower = self.0.to_ascii_lowercase();
        let rest = lower.strip_prefix(other);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ';']))
    }
}

/// A text with what its escapes stand for, however odd that is.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let found = if byte == b'%' { escaped(behind) } else { None };
        let (byte, behind) = found.unwrap_or((byte, behind));
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte of an escape, and what follows it.
fn escaped(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = rest.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    let byte = u8::try_from(high? * 16 + low?).ok()?;
    Some((byte, rest))
}

/// As a request has it: only what has to be is escaped.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => write!(f, "{}", char::from(byte))?,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*'
                | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'/' => {
                    write!(f, "{}", char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        for (raw, path) in [
            ("/", Ok("/")),
            ("/assets/index-1.js", Ok("/assets/index-1.js")),
            ("/%61ssets/x", Ok("/assets/x")),
            ("/a%20b/", Ok("/a%20b/")),
            ("/caf%c3%a9", Ok("/caf%C3%A9")),
            ("/a/...", Ok("/a/...")),
            ("/.well-known/x", Ok("/.well-known/x")),
            ("/a;b=c", Ok("/a;b=c")),
            ("", Err(OddPath::Beginning)),
            ("*", Err(OddPath::Beginning)),
            ("assets/", Err(OddPath::Beginning)),
            ("/assets/../v1", Err(OddPath::Dots)),
            ("/assets/..", Err(OddPath::Dots)),
            ("/./x", Err(OddPath::Dots)),
            ("/assets/..;/v1", Err(OddPath::Dots)),
            ("/assets/;x/v1", Err(OddPath::Dots)),
            ("/assets//v1", Err(OddPath::Empty)),
            ("//", Err(OddPath::Empty)),
            ("/assets/%2e%2e/v1", Err(OddPath::Hidden)),
            ("/assets%2Fx", Err(OddPath::Hidden)),
            ("/assets/%5c..", Err(OddPath::Hidden)),
            ("/assets/%252e", Err(OddPath::Hidden)),
            ("/a%00", Err(OddPath::Hidden)),
            ("/a%0d%0aX:y", Err(OddPath::Hidden)),
            ("/a%7f", Err(OddPath::Hidden)),
            ("/assets\\..", Err(OddPath::Character)),
            ("/a\0", Err(OddPath::Character)),
            ("/a%c2%85", Err(OddPath::Character)),
            ("/a%", Err(OddPath::Escape)),
            ("/a%2", Err(OddPath::Escape)),
            ("/a%zz", Err(OddPath::Escape)),
            ("/a%+1", Err(OddPath::Escape)),
            ("/a%ff", Err(OddPath::Escape)),
            ("/a%c0%af", Err(OddPath::Escape)),
        ] {
            let found = Path::parse(raw).map(|path| path.to_string());
            assert_eq!(found, path.map(str::to_owned), "{raw}");
        }
    }

    #[test]
    fn only_what_is_listed_goes_on() {
        let paths = Paths::parse(["/", "/assets/", "/icon.svg", "GET,POST /hooks/", "POST /x"]);
        let paths = paths.unwrap();
        let reading = || Passage::OtherMethod(vec!["GET", "HEAD"]);
        for (method, path, passage) in [
            ("GET", "/", Passage::On),
            ("HEAD", "/", Passage::On),
            ("POST", "/", reading()),
            ("get", "/", reading()),
            ("GET", "/other", Passage::Not),
            ("GET", "/assets/", Passage::On),
            ("GET", "/assets/deep/x.js", Passage::On),
            ("GET", "/assets", Passage::Not),
            ("GET", "/assetsx/", Passage::Not),
            ("GET", "/Assets/x", Passage::Not),
            ("GET", "/icon.svg", Passage::On),
            ("GET", "/icon.svg/", Passage::Not),
            ("POST", "/hooks/wake", Passage::On),
            ("HEAD", "/hooks/wake", Passage::On),
            (
                "DELETE",
                "/hooks/wake",
                Passage::OtherMethod(vec!["GET", "POST", "HEAD"]),
            ),
            ("GET", "/x", Passage::OtherMethod(vec!["POST"])),
        ] {
            let asked = Path::parse(path).unwrap();
            assert_eq!(paths.passage(method, &asked), passage, "{method} {path}");
        }
        assert_eq!(
            Paths::default().passage("GET", &Path::parse("/").unwrap()),
            Passage::Not
        );
    }

    #[test]
    fn a_rule_that_is_none_is_told() {
        for (text, says) in [
            ("CONNECT /", "`CONNECT` is no method"),
            ("GET, /", "`` is no method"),
            ("get /", "`get` is no method"),
            ("assets/", "begins with `/`"),
            ("", "begins with `/`"),
            ("/a/../b", "leads elsewhere"),
        ] {
            let error = Paths::parse([text]).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(!Paths::parse(CONTROL_UI).unwrap().is_empty());
    }

    #[test]
    fn what_is_the_gateways_own_is_known_in_any_form() {
        for (path, own) in [
            ("/healthz", true),
            ("/%68ealthz", true),
            ("/HealthZ", true),
            ("/healthz/", true),
            ("/healthz/x", true),
            ("/healthz;x", true),
            ("/healthzx", false),
            ("/x/healthz", false),
        ] {
            assert_eq!(
                Path::parse(path).unwrap().is_within("/healthz"),
                own,
                "{path}"
            );
        }
    }
}
