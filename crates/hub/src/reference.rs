//! reference_scores.json: what others published about the models of models.json.

use serde::Deserialize;

use crate::HubError;

const SCORES: &str = include_str!("../../../models/reference_scores.json");

/// Scores that one source published for a model's weights in f32, or near enough.
#[derive(Debug, Clone, Deserialize)]
pub struct ReferenceScores {
    /// The model's name in models.json.
    pub model: String,
    /// Who published them.
    pub source: String,
    /// How far a logit may be off: what the source's precision and rounding leave open.
    pub tolerance: f64,
    /// The scores.
    pub scores: Vec<ReferenceScore>,
}

/// A published score.
#[derive(Debug, Clone, Deserialize)]
pub struct ReferenceScore {
    /// What is searched for.
    pub query: String,
    /// The document.
    pub document: String,
    /// The model's raw output.
    pub logit: f64,
}

impl ReferenceScores {
    /// Everything that was published about `model`, a name of models.json.
    ///
    /// # Errors
    /// [`HubError::List`] if the build is broken.
    pub fn of(model: &str) -> Result<Vec<Self>, HubError> {
        let all: Vec<Self> = serde_json::from_str(SCORES).map_err(HubError::List)?;
        Ok(all.into_iter().filter(|scores| scores.model == model).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelList;

    #[test]
    fn every_reference_is_of_a_known_model_and_says_its_source() {
        let all: Vec<ReferenceScores> = serde_json::from_str(SCORES).unwrap();
        for reference in &all {
            let known =
                ModelList::embedded().unwrap().entries().iter().any(|entry| entry.name == reference.model);
            assert!(
                known && !reference.source.is_empty() && !reference.scores.is_empty(),
                "{}",
                reference.model
            );
        }
        assert_eq!(ReferenceScores::of("bge-v2-m3").unwrap().len(), 2);
    }
}
