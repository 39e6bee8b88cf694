//! What the reader should know: scales that nobody measured, questions that do not fit together.

use super::report::{Plan, ServingPlan, TrainingPlan};
use super::scenario::Scenario;
use crate::catalog::Catalog;
use crate::cost::StorageChoice;
use crate::quantity::{Warning, count};

/// Largest training run with a published step time in the validation data: Llama 3 on 16,384 H100 (arXiv 2407.21783).
const LARGEST_MEASURED_RUN: u32 = 16_384;

/// Warnings about the chosen options.
pub fn about(
    scenario: &Scenario,
    training: Option<&TrainingPlan>,
    serving: Option<&ServingPlan>,
    warnings: &mut Vec<Warning>,
) {
    if let (Some(plan), Some(job)) = (training, &scenario.training) {
        let chosen = plan.options.iter().find(|option| Some(&option.shape) == plan.chosen.as_ref());
        match chosen {
            None => warnings.push(Warning::new(
                "nothing_fits",
                "training",
                "no shape of the chosen cloud can do this training; see the reasons".to_owned(),
            )),
            Some(option) => {
                if option.gpus > LARGEST_MEASURED_RUN {
                    warnings.push(Warning::new(
                        "past_measured_scale",
                        &option.shape,
                        format!(
                            "{} GPUs: the largest run with a published step time has {LARGEST_MEASURED_RUN}",
                            option.gpus
                        ),
                    ));
                }
                if !option.meets_deadline {
                    warnings.push(Warning::new(
                        "deadline_missed",
                        "training.deadline_days",
                        format!("takes {:.1} days", option.days),
                    ));
                }
                warnings.extend(option.warnings.iter().cloned());
            }
        }
        let asked = job.global_batch_tokens;
        let taken = f64::from(plan.global_batch) * f64::from(job.sequence_length);
        if let Some(asked) = asked.filter(|asked| (asked - taken).abs() > 0.5) {
            warnings.push(Warning::new(
                "global_batch_rounded",
                "training.global_batch_tokens",
                format!(
                    "{asked} tokens are taken as {}, {taken} tokens",
                    count(plan.global_batch, "sequence")
                ),
            ));
        }
    }
    if let Some(plan) = serving {
        let chosen = plan.options.iter().find(|option| Some(&option.shape) == plan.chosen.as_ref());
        match chosen {
            None => warnings.push(Warning::new(
                "nothing_fits",
                "serving",
                "no shape of the chosen cloud can serve this within the targets; see the reasons".to_owned(),
            )),
            Some(option) => warnings.extend(option.warnings.iter().cloned()),
        }
    }
}

/// Warnings about the question itself: lengths past the model's context, other weights served than trained, storage
/// that nothing uses.
pub fn about_question(catalog: &Catalog, scenario: &Scenario, warnings: &mut Vec<Warning>) {
    if let Some(job) = &scenario.training {
        let tokens = f64::from(job.sequence_length);
        warnings.extend(catalog.past_context("training.sequence_length", &job.model, tokens));
    }
    if let Some(job) = &scenario.serving {
        let tokens = job.input_tokens + job.output_tokens;
        warnings.extend(catalog.past_context("serving.input_tokens", &job.model, tokens));
    }
    if let Some(job) = scenario.training.as_ref().filter(|job| job.tokens_rule.is_some())
        && catalog.resolve_model("model", &job.model).is_ok_and(|model| model.moe.is_some())
    {
        let text = "the rule was found on dense models; of this mixture of experts active parameters are counted, and \
                    studies of such models find that the dense rule does not carry over (arXiv 2509.23678)";
        warnings.push(Warning::new("rule_of_dense_models", "training.tokens_rule", text.to_owned()));
    }
    let models = scenario.training.as_ref().zip(scenario.serving.as_ref()).map(|(t, s)| (&t.model, &s.model));
    if models.is_some_and(|(trained, served)| trained != served) {
        let text = "another model is served than trained: the one that is trained moves".to_owned();
        warnings.push(Warning::new("models_differ", "serving.model", text));
    }
    if scenario.storage != StorageChoice::default() {
        let nobody = match &scenario.training {
            None => Some("nothing is trained"),
            Some(job) if job.gpu.is_some() => Some("a bare GPU belongs to no cloud"),
            Some(_) => None,
        };
        warnings.extend(nobody.map(|why| {
            let text = format!("{why}: what is said of storage counts nowhere");
            Warning::new("storage_unused", "storage", text)
        }));
    }
}

/// A warning if a cluster is larger than anybody has published of the shape.
pub fn past_limit(catalog: &Catalog, shape: &str, gpus: u32) -> Option<Warning> {
    let limit = catalog.largest_published(shape)?.max_gpus?;
    (gpus > limit).then(|| {
        Warning::new(
            "past_published_limit",
            shape,
            format!("{gpus} GPUs: the largest published cluster of this shape has {limit}"),
        )
    })
}

impl Plan {
    /// Warnings with this code.
    pub fn warnings_of(&self, code: &str) -> impl Iterator<Item = &Warning> {
        self.warnings.iter().filter(move |warning| warning.code == code)
    }
}
