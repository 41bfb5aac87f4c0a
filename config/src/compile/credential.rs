//! A credential field and its `_plaintext` sibling (contract §6.2).

use super::{Context, Door, Findings};
use crate::{
    diagnostic::Pointer,
    document::{Plaintext, SecretRef},
    secret::{Reference, Secret, SecretText},
};

/// Where a credential is used, which decides what it may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// In a header: no control characters.
    Header,
    /// Elsewhere: a service account's JSON has line breaks.
    Free,
}

/// A field that takes a reference, and its sibling.
pub(crate) struct Field<'a> {
    /// Name of the reference field.
    pub name: &'a str,
    pub reference: Option<&'a SecretRef>,
    pub plaintext: Option<&'a Plaintext>,
}

impl<'a> Field<'a> {
    pub fn new(name: &'a str, reference: &'a Option<SecretRef>, plaintext: &'a Option<Plaintext>) -> Self {
        Self { name, reference: reference.as_ref(), plaintext: plaintext.as_ref() }
    }

    pub fn is_given(&self) -> bool {
        self.reference.is_some() || self.plaintext.is_some()
    }

    /// Exactly one of the pair, resolved.
    pub fn compile(&self, usage: Use, block: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<Secret> {
        let name = self.name;
        let sibling = format!("{name}_plaintext");
        let secret = match (self.reference, self.plaintext) {
            (Some(_), Some(_)) => {
                out.error_on_key(&block.key(&sibling), format!("`{name}` and `{sibling}` are both given; keep one"));
                return None;
            }
            (None, None) => {
                out.error(block, format!("a credential is missing; give `{name}` (a secret reference) or `{sibling}`"));
                return None;
            }
            (Some(reference), None) => resolve(reference, name, &block.key(name), cx, out)?,
            (None, Some(plaintext)) => {
                let at = block.key(&sibling);
                if plaintext.0.trim().is_empty() {
                    out.error(&at, format!("`{sibling}` is empty"));
                    return None;
                }
                if cx.door == Door::File {
                    let message = format!(
                        "`{sibling}` holds a secret in the clear; prefer `{name}: \"{{{{env/NAME}}}}\"` or `\"{{{{file/PATH}}}}\"`"
                    );
                    out.warning_on_key(&at, message);
                }
                Secret::Value(SecretText::new(plaintext.0.trim_end_matches(['\r', '\n'])))
            }
        };
        Some(match secret {
            // Contract §6.2: found at query time. A file's author is told right away.
            Secret::Value(text) if usage == Use::Header && text.expose().contains(char::is_control) => {
                let why = "its value holds a control character, which no header can carry".to_owned();
                let secret = Secret::Missing { reference: format!("`{name}`"), why };
                if cx.door == Door::File { missing(secret, &block.key(name), cx, out) } else { secret }
            }
            other => other,
        })
    }
}

fn resolve(reference: &SecretRef, name: &str, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<Secret> {
    if Reference::parse(&reference.0).is_none() {
        let forms = forms(cx.door);
        let message =
            format!("`{name}` takes a secret reference, {forms}; the value itself belongs in `{name}_plaintext`");
        out.error(at, message);
        return None;
    }
    look_up(&reference.0, at, cx, out)
}

fn forms(door: Door) -> &'static str {
    match door {
        Door::File => "{{secrets/scope/key}}, {{env/NAME}} or {{file/PATH}}",
        Door::Rest => "{{secrets/scope/key}}",
    }
}

/// Looks a well-formed reference up and notes the dependency.
pub(crate) fn look_up(reference: &str, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<Secret> {
    if cx.door == Door::Rest && !matches!(Reference::parse(reference), Some(Reference::Store { .. })) {
        out.error(at, format!("this form of reference is for files only; over REST use {}", forms(cx.door)));
        return None;
    }
    let secret = cx.secrets.resolve(reference);
    out.dependencies.secret(reference, &secret);
    Some(missing(secret, at, cx, out))
}

fn missing(secret: Secret, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Secret {
    if let Secret::Missing { reference, why } = &secret {
        match cx.door {
            Door::File => out.warning(at, format!("{reference} has no value: {why}; until then queries get 400")),
            Door::Rest => out.error(at, format!("{reference} has no value: {why}")),
        }
    }
    secret
}
