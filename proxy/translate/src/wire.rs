//! Reading JSON into types in one pass: borrowed where that can be, every unknown member kept.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::params::wrong;
use crate::peek::PeekError;

/// Text that borrows from the JSON it was read from, unless it had escapes there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_str(self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(Either)
    }
}

/// JSON that is passed on as it is.
pub type Raw<'a> = &'a RawValue;

/// Members that a type has no field for, in order.
pub type Rest<'a> = Vec<(Text<'a>, Raw<'a>)>;

/// Members as they came, to be written into an object with `#[serde(flatten)]`.
#[derive(Clone, Debug, Default)]
pub struct Members<'r>(pub Vec<(&'r str, Raw<'r>)>);

impl<'r> Members<'r> {
    /// Those of `rest` whose key `keep` says yes to.
    pub fn of<'a: 'r>(rest: &'r Rest<'a>, keep: impl Fn(&str) -> bool) -> Self {
        Self(rest.iter().filter(|(key, _)| keep(key)).map(|(key, value)| (&**key, *value)).collect())
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Whether a field was given.
pub trait Given {
    /// False for `null` and what is absent.
    fn is_given(&self) -> bool;
}

impl<T> Given for Option<T> {
    fn is_given(&self) -> bool {
        self.is_some()
    }
}

impl<T> Given for Vec<T> {
    fn is_given(&self) -> bool {
        !self.is_empty()
    }
}

/// Defines a struct that is read from a JSON object: each member named goes to its field, all others to `rest`. Of a
/// member given twice the last counts; `null` is the same as absent for fields that are an `Option`.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Default)]
        pub struct $name<'a> {
            $($(#[$doc])* pub $field: $type,)*
            /// Members that are none of the above, in order.
            pub rest: $crate::wire::Rest<'a>,
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
                struct Members<'a>(std::marker::PhantomData<&'a ()>);
                impl<'de: 'a, 'a> serde::de::Visitor<'de> for Members<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name<'a>, A::Error> {
                        let mut read = $name::default();
                        while let Some(key) = map.next_key::<$crate::wire::Text<'a>>()? {
                            match &*key {
                                $($key => read.$field = map.next_value()?,)*
                                _ => read.rest.push((key, map.next_value()?)),
                            }
                        }
                        Ok(read)
                    }
                }
                json.deserialize_map(Members(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use record;

/// Defines a request as [`record`] does, and which parameters there are.
macro_rules! request {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $key:literal => $field:ident: $type:ty,)* }) => {
        $crate::wire::record! { $(#[$meta])* $name { $($(#[$doc])* $key => $field: $type,)* } }

        impl<'a> $name<'a> {
            /// Reads a request body.
            ///
            /// # Errors
            /// [`crate::PeekError::Field`] for what is not of OpenAI's schema; `param` names the place, such as
            /// `messages[2].content[0]`.
            pub fn read(body: &'a str) -> Result<Self, $crate::PeekError> {
                let mut request: Self = $crate::wire::read(body)?;
                request.rest.retain($crate::params::for_providers);
                Ok(request)
            }

            /// The names of all parameters.
            pub const FIELDS: &'static [&'static str] = &[$($key),*];

            /// The names of the parameters that were given.
            pub fn given(&self) -> impl Iterator<Item = &'static str> {
                let given = [$($crate::wire::Given::is_given(&self.$field)),*];
                Self::FIELDS.iter().zip(given).filter_map(|(name, given)| given.then_some(*name))
            }
        }
    };
}
pub(crate) use request;

/// Reads a request body. An error names the place, such as `messages[2].content`.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, PeekError> {
    serde_json::from_str(body).map_err(|error| place::<T>(body, &error))
}

/// Reads it again, more slowly, to find out where it is wrong.
fn place<'a, T: Deserialize<'a>>(body: &'a str, error: &serde_json::Error) -> PeekError {
    let mut json = serde_json::Deserializer::from_str(body);
    let path = serde_path_to_error::deserialize::<_, T>(&mut json).err().map(|error| error.path().to_string());
    let what = error.to_string();
    let what = what.rsplit_once(" at line ").map_or(&*what, |(what, _)| what).to_owned();
    wrong(path.unwrap_or_default(), format!("cannot be read: {what}"))
}

/// A string or an array of strings, `null` being none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts<'a>(pub Vec<Text<'a>>);

impl Given for Texts<'_> {
    fn is_given(&self) -> bool {
        !self.0.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Texts<'de>, E> {
                Ok(Texts(vec![text.into()]))
            }
            fn visit_str<E>(self, text: &str) -> Result<Texts<'de>, E> {
                Ok(Texts(vec![Text(Cow::Owned(text.to_owned()))]))
            }
            fn visit_unit<E>(self) -> Result<Texts<'de>, E> {
                Ok(Texts::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        json.deserialize_any(Any)
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
