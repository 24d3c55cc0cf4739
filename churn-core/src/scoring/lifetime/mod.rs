//! Customers without contracts: who is still alive, how much will they buy, what are they worth.
//!
//! Nobody cancels in a shop; silence is all there is. These models ask how likely a silence is if
//! the customer is still there, given how the customer and everybody else bought before, and
//! answer with probabilities. Not for contracts, where leaving is seen
//! ([`BetaGeometric`]), and not where strong seasons or campaigns drive purchases: none of these
//! models knows the calendar.
//!
//! | model | who it suits |
//! |---|---|
//! | [`Lifetime::mbg_nbd`] | shops; doubts one-time buyers too |
//! | [`Lifetime::pareto_nbd`] | the same, leaving at any time instead of after a purchase |
//! | [`Lifetime::bg_nbd`] | the classic; never doubts a one-time buyer |
//! | [`Lifetime::mbg_cnbd`] | customers who buy at regular intervals |
//! | [`GammaGamma`] | spend per purchase, beside any of them |
//! | [`BgBb`] | opportunities that come in rounds: yearly appeals, weekly markets |
//! | [`BetaGeometric`] | contracts with renewals |
//!
//! Settings are a plain struct; `fit` answers a fitted model, which writes itself as JSON, and the
//! model answers questions about the same customers or others.

mod beta_geometric;
mod bg_bb;
mod bg_nbd;
mod buyers;
mod climb;
mod estimate;
mod everyone;
mod fit;
mod forecast;
mod gamma_gamma;
mod likelihood;
mod model;
mod pareto_nbd;
mod patterns;
mod value;

pub use beta_geometric::{BetaGeometric, Contracts, RenewalModel};
pub use bg_bb::{BgBb, BgBbModel};
pub use buyers::Buyers;
pub use estimate::{Bound, Estimate, LikelihoodRatio, Parameter, likelihood_ratio};
pub use everyone::LifetimeScoring;
pub use fit::{Family, Lifetime, Regularity};
pub use gamma_gamma::{GammaGamma, SpendModel};
pub use model::{Answer, LifetimeModel};
pub use value::CustomerValue;
