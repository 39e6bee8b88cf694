//! How many drafted tokens a step accepts: drawn, one step after the other.

use super::random::Random;
use crate::inference::Speculation;

/// The law by which drafted tokens are accepted: each, if those before it were, with the same chance
/// ([`Speculation::tokens_per_iteration`] is its mean, and 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Acceptance {
    /// Tokens drafted for a step.
    drafted: f64,
    /// Logarithm of the chance; minus infinity where nothing is accepted.
    log_chance: f64,
}

impl Acceptance {
    pub fn of(speculation: &Speculation) -> Self {
        Self { drafted: f64::from(speculation.draft_tokens), log_chance: libm::log(speculation.acceptance) }
    }

    /// Tokens that one step gives: those accepted in a row, and the model's own next one.
    fn step(&self, random: &mut Random) -> f64 {
        if self.log_chance >= 0.0 {
            return self.drafted + 1.0;
        }
        // At least j in a row have the chance a^j: what a uniform number's logarithm has of a's.
        let accepted = (libm::log(random.uniform()) / self.log_chance).floor();
        accepted.min(self.drafted) + 1.0
    }

    /// Steps that give `tokens`; what the last one accepts beyond them is thrown away.
    pub fn steps(&self, tokens: f64, random: &mut Random) -> f64 {
        let (mut given, mut steps) = (0.0, 0.0);
        while given < tokens {
            given += self.step(random);
            steps += 1.0;
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelRef;

    fn speculation(draft_tokens: u32, acceptance: f64) -> Speculation {
        Speculation { draft_tokens, acceptance, draft: ModelRef::Name("mtp".to_owned()) }
    }

    #[test]
    fn a_step_gives_what_the_closed_form_says_on_average() {
        for (drafted, chance) in [(1, 0.85), (3, 0.7), (4, 0.3), (8, 0.95), (2, 0.0), (5, 1.0)] {
            let asked = speculation(drafted, chance);
            let law = Acceptance::of(&asked);
            let mut random = Random::new(11, 0);
            let n = 100_000;
            let mean = (0..n).fold(0.0, |sum, _| sum + law.step(&mut random)) / f64::from(n);
            // Standard error: below 0.02 tokens for any of them.
            assert!((mean - asked.tokens_per_iteration()).abs() < 0.03, "{drafted} {chance}: {mean}");
        }
    }

    #[test]
    fn certain_and_impossible_drafts_are_counted_out() {
        let mut random = Random::new(1, 0);
        assert_eq!(Acceptance::of(&speculation(3, 1.0)).steps(10.0, &mut random), 3.0);
        assert_eq!(Acceptance::of(&speculation(3, 0.0)).steps(10.0, &mut random), 10.0);
        assert_eq!(Acceptance::of(&speculation(3, 0.5)).steps(0.0, &mut random), 0.0);
    }
}
