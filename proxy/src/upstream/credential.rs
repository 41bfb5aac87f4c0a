//! How an upstream knows the gateway, where a fixed header does not do.

use std::sync::Arc;

use super::address::Address;
use super::push_header;
use super::sigv4::Signer;
use super::token::{Held, Token};

/// What a request's head gets beside its fixed part.
pub enum Credential {
    /// Nothing: the credential never changes and is in the fixed part, or there is none.
    Fixed,
    /// An access token that is renewed.
    Token(Arc<Token>),
    /// A signature over the request (AWS Signature Version 4).
    Aws(Signer),
}

/// A request's own credential, ready to be sent.
pub enum Authorization {
    /// It is in the fixed part of the head.
    None,
    /// A bearer token.
    Token(Arc<Held>),
    /// Signed headers.
    Signed(Vec<(String, String)>),
}

impl Credential {
    /// Where it is got from, if it is got from somewhere.
    pub fn address(&self) -> Option<&Arc<Address>> {
        match self {
            Credential::Token(token) => Some(token.address()),
            Credential::Fixed | Credential::Aws(_) => None,
        }
    }
}

impl Authorization {
    /// About how many bytes it takes in a head.
    pub fn size(&self) -> usize {
        match self {
            Authorization::None => 0,
            Authorization::Token(held) => held.authorization.len() + 20,
            Authorization::Signed(headers) => headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum(),
        }
    }

    /// Adds the header lines.
    pub fn push(&self, head: &mut Vec<u8>) {
        match self {
            Authorization::None => {}
            Authorization::Token(held) => push_header(head, "authorization", held.authorization.as_bytes()),
            Authorization::Signed(headers) => {
                headers.iter().for_each(|(name, value)| push_header(head, name, value.as_bytes()));
            }
        }
    }
}
