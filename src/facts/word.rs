//! Closed vocabularies: enums whose variants have a word in the policy language and a doc.
//!
//! `words!` makes the enum, its table of [`Word`]s and the conversions from one list,
//! so that the language, `gw schema` and the Rust type cannot disagree.

/// One value of a closed vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// As written in policies, in `--fact`, and in output.
    pub name: &'static str,
    /// One sentence: what it means.
    pub doc: &'static str,
}

/// Declares an enum with a word and a doc for each variant.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident $word:literal $doc:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $doc] #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every value, in the order of its code.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];
            /// The word and doc of every value, in the order of its code.
            pub const WORDS: &'static [$crate::facts::Word] =
                &[$($crate::facts::Word { name: $word, doc: $doc },)*];

            /// The word of this value.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// One sentence: what this value means.
            #[must_use]
            pub fn doc(self) -> &'static str {
                match self { $($name::$variant => $doc,)* }
            }

            /// The value with this word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }

            /// The place of this value in [`Self::ALL`].
            #[must_use]
            pub fn code(self) -> u8 {
                self as u8
            }

            /// The value at this place in [`Self::ALL`].
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
pub(crate) use words;
