//! What the gateway decides about a request, without I/O and without a clock: who asks ([`identity`]), whether they
//! may ([`permission`]), which served entity answers ([`pick`]), and what a refusal looks like at each door
//! ([`reason`], [`door`]).
#![deny(missing_docs)]

pub mod door;
pub mod identity;
pub mod permission;
pub mod phrases;
pub mod pick;
pub mod reason;
