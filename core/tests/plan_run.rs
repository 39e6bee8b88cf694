//! A whole run: failures, checkpoints, pauses, and tokens that follow from a rule, a budget or a deadline.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::catalog::Catalog;
use rackrate::error::Error;
use rackrate::plan::{
    FigureKind, Plan, Scenario, TokensBasis, TrainingJob, TrainingOption, built_in_named, plan,
};
use rackrate::training::{Pauses, Reliability, Stuck, Task, TokensRule, combined};

const SHAPES: [&str; 2] = ["BM.GPU.H100.8", "Standard_ND96isr_H100_v5"];

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

/// Llama 3.1 8B on two H100 shapes, with what `change` says.
fn question(change: impl FnOnce(&mut TrainingJob)) -> Scenario {
    let mut scenario = built_in_named("fine-tune-8b").unwrap();
    let job = scenario.training.as_mut().unwrap();
    job.task = Task::Pretrain;
    job.shapes = SHAPES.map(str::to_owned).to_vec();
    change(job);
    scenario
}

fn asked(change: impl FnOnce(&mut TrainingJob)) -> Plan {
    plan(catalog(), &question(change)).unwrap()
}

fn refused(change: impl FnOnce(&mut TrainingJob)) -> Error {
    plan(catalog(), &question(change)).unwrap_err()
}

fn options(plan: &Plan) -> &[TrainingOption] {
    &plan.training.as_ref().unwrap().options
}

fn usd(option: &TrainingOption) -> f64 {
    option.cost.as_ref().unwrap().total_usd
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

/// A budget for eight GPUs instead of tokens.
fn budget(usd: f64) -> impl FnOnce(&mut TrainingJob) {
    move |job| {
        job.tokens = None;
        job.budget_usd = Some(usd);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_sooner_or_later_than_the_best_lose(
        gpus in 8.0..20_000.0f64, parameters in 1e9..1e12f64, rate in 15_000.0..82_000.0f64, factor in 1.1..4.0f64,
    ) {
        let at = |seconds: Option<f64>| {
            let run = Reliability { checkpoint_interval_seconds: seconds, ..Reliability::default() };
            let links = run.checkpoint_links((gpus / 8.0).ceil(), Some(12.5), None);
            run.goodput(rate, parameters, gpus, &links)
        };
        let Ok((best, losses)) = at(None) else { return Ok(()) };
        let uptime = losses.mean_hours_between_interruptions * 3600.0;
        let interval = losses.checkpoint_interval_seconds;
        prop_assert!(near(interval, (2.0 * losses.checkpoint_seconds * uptime).sqrt(), 1e-12));
        prop_assert!(at(Some(interval / factor)).unwrap().0 < best);
        // Young's rule leaves the restart out: the loss is least at τ √(1 + R/M), and equal again at τ (1 + R/M).
        let later = factor * (1.0 + 660.0 / uptime);
        prop_assert!(at(Some(interval * later)).unwrap().0 < best);
        prop_assert_eq!(at(Some(interval)).unwrap().0, best);
    }

    #[test]
    fn waiting_less_for_checkpoints_never_loses_more_time_to_them(
        gpus in 8.0..20_000.0f64, parameters in 1e9..1e12f64, share in 0.0..1.0f64,
    ) {
        let at = |share: f64| {
            let run = Reliability { checkpoint_stall_share: share, ..Reliability::default() };
            let links = run.checkpoint_links((gpus / 8.0).ceil(), Some(12.5), None);
            run.goodput(50_677.0, parameters, gpus, &links).unwrap()
        };
        let (less, all) = (at(share), at(1.0));
        prop_assert!(less.1.checkpoint_share <= all.1.checkpoint_share);
        prop_assert_eq!(less.1.checkpoint_stall_seconds, all.1.checkpoint_seconds * share);
        // The next one is not begun before the last one is written.
        let background = less.1.checkpoint_seconds - less.1.checkpoint_stall_seconds;
        prop_assert!(less.1.checkpoint_interval_seconds >= background);
    }

    #[test]
    fn shares_of_the_wall_clock_sum_to_one_and_pauses_only_add(
        steps in 1.0..1e6f64, seconds in 0.01..60.0f64, evaluation in 1.0..3600.0f64, every in 1u32..10_000,
        wait in 0.0..1.0f64, startup in 0.0..1e5f64,
    ) {
        let steps = steps.floor();
        let run = Reliability::default();
        let links = run.checkpoint_links(128.0, Some(12.5), None);
        let alone = run.goodput(50_677.0, 7e10, 1024.0, &links).unwrap();
        let pauses = Pauses {
            evaluation_seconds: evaluation,
            evaluation_every_steps: Some(every),
            data_wait_seconds_per_step: wait,
            startup_seconds: startup,
        };
        let (plain, paused) =
            (Pauses::default().wall_clock(steps, seconds, alone), pauses.wall_clock(steps, seconds, alone));
        prop_assert_eq!(plain.goodput, alone.0);
        prop_assert!(paused.days >= plain.days && paused.goodput <= plain.goodput);
        let lost = &paused.losses;
        let sum = paused.goodput + lost.checkpoint_share + lost.rework_share + lost.restart_share
            + lost.evaluation_share + lost.data_share + lost.startup_share;
        prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        // Trained seconds are the steps', whatever lies between them.
        prop_assert!(near(paused.goodput * paused.days * 86_400.0, steps * seconds, 1e-9));
        prop_assert!(near(pauses.step_seconds(steps, paused.days, alone.0), seconds, 1e-6));
    }

    #[test]
    fn independent_errors_widen_and_never_cross_the_estimate(
        a in 0.3..1.0f64, b in 1.0..3.0f64, c in 0.3..1.0f64, d in 1.0..3.0f64,
    ) {
        let (low, high) = combined((a, b), (c, d));
        let tiny = 1e-12;
        prop_assert!(low <= a.min(c) + tiny && high >= b.max(d) - tiny);
        prop_assert!(low >= a * c - tiny && high <= b * d + tiny);
        prop_assert!(near(combined((a, b), (1.0, 1.0)).0, a, 1e-12));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn more_failures_never_make_a_run_shorter(hours in 1e3..1e6f64, factor in 1.0..10.0f64) {
        let days = |hours: f64| {
            let plan = asked(|job| job.reliability.gpu_hours_per_interruption = Some(hours));
            options(&plan)[0].days
        };
        prop_assert!(days(hours) >= days(hours * factor));
    }

    #[test]
    fn tokens_that_a_cost_pays_for_are_those_that_cost_it(tokens in 1e8..1e11f64) {
        let plan = asked(|job| job.tokens = Some(tokens));
        for given in options(&plan) {
            let back = asked(|job| {
                budget(usd(given))(job);
                job.shapes = vec![given.shape.clone()];
            });
            let bought = &options(&back)[0];
            let step = f64::from(bought.step.layout.global_batch) * 8192.0;
            prop_assert!((bought.tokens - tokens).abs() <= step, "{} {tokens}", bought.tokens);
            prop_assert!(usd(bought) <= usd(given));
        }
    }

    #[test]
    fn a_larger_budget_never_buys_fewer_tokens(usd in 500.0..1e6f64, factor in 1.0..5.0f64) {
        let tokens = |usd: f64, gpus: Option<u32>| {
            let plan = asked(|job| {
                budget(usd)(job);
                job.gpus = gpus;
                job.deadline_days = gpus.is_none().then_some(10.0);
            });
            SHAPES.map(|shape| {
                options(&plan).iter().find(|option| option.shape == shape).map_or(0.0, |option| option.tokens)
            })
        };
        for gpus in [Some(8), None] {
            let (less, more) = (tokens(usd, gpus), tokens(usd * factor, gpus));
            prop_assert!(more[0] >= less[0] && more[1] >= less[1], "{gpus:?} {less:?} {more:?}");
        }
    }
}

#[test]
fn the_budget_is_spent_and_not_one_step_more_is_paid_for() {
    let plan = asked(budget(20_000.0));
    let training = plan.training.as_ref().unwrap();
    assert_eq!(training.tokens_basis, TokensBasis::MostForBudget);
    let best = &training.options[0];
    assert_eq!((training.tokens, training.chosen.as_deref()), (best.tokens, Some(best.shape.as_str())));
    assert!(training.options.windows(2).all(|pair| pair[0].tokens >= pair[1].tokens));
    for option in &training.options {
        assert!(usd(option) <= 20_000.0, "{}", usd(option));
        let step = f64::from(training.global_batch) * 8192.0;
        assert_eq!(option.tokens % step, 0.0);
        let next = asked(|job| {
            job.tokens = Some(option.tokens + step);
            job.shapes = vec![option.shape.clone()];
        });
        assert!(usd(&options(&next)[0]) > 20_000.0);
        let interval = option.tokens_interval.as_ref().unwrap();
        assert!(interval.low < option.tokens && option.tokens < interval.high);
    }
    assert_eq!(plan.chosen_split().unwrap().training_shape, training.chosen);
}

#[test]
fn a_budget_within_a_deadline_finds_the_gpus_that_train_on_most() {
    let sought = |gpus| {
        asked(|job| {
            budget(50_000.0)(job);
            job.shapes = vec![SHAPES[0].to_owned()];
            job.gpus = gpus;
            job.deadline_days = Some(7.0);
        })
    };
    let free = sought(None);
    let best = &options(&free)[0];
    assert!(best.days <= 7.0 && usd(best) <= 50_000.0 && best.meets_deadline);
    for gpus in [8, 16, 32, 64, 128, 256] {
        let fixed = sought(Some(gpus));
        let tokens = options(&fixed).first().map_or(0.0, |option| option.tokens);
        assert!(tokens <= best.tokens, "{gpus} GPUs: {tokens} > {}", best.tokens);
    }
    assert!(options(&sought(Some(best.gpus)))[0].tokens == best.tokens);
}

#[test]
fn a_deadline_on_given_gpus_says_how_many_tokens_it_leaves_time_for() {
    let plan = asked(|job| {
        job.tokens = None;
        job.gpus = Some(64);
        job.deadline_days = Some(5.0);
    });
    let training = plan.training.as_ref().unwrap();
    assert_eq!(training.tokens_basis, TokensBasis::MostInTime);
    for option in &training.options {
        let step_days = option.step.step_seconds / option.goodput / 86_400.0;
        assert!(option.days <= 5.0 && option.days > 5.0 - 1.001 * step_days, "{}", option.days);
    }
}

#[test]
fn too_little_money_is_an_answer() {
    let plan = asked(|job| {
        budget(10.0)(job);
        job.pauses.startup_seconds = 3600.0;
    });
    let training = plan.training.as_ref().unwrap();
    assert!(training.options.is_empty() && training.tokens == 0.0 && training.steps == 0.0);
    assert!(training.refused.iter().all(|one| one.reason.contains("not enough for one step on 8 GPUs")));
    let bare = asked(|job| {
        budget(1e4)(job);
        job.shapes.clear();
        job.gpu = Some("H100-SXM".to_owned());
    });
    assert!(bare.training.unwrap().refused[0].reason.contains("what a budget buys is not known"));
}

#[test]
fn twenty_tokens_for_each_parameter() {
    let plan = asked(|job| {
        job.tokens = None;
        job.tokens_rule = Some(TokensRule::Chinchilla);
        job.gpus = Some(64);
    });
    let training = plan.training.as_ref().unwrap();
    assert_eq!(training.tokens_basis, TokensBasis::ComputeOptimal);
    let parameters = catalog().model("model", "llama-3.1-8b").unwrap().architecture.parameters();
    assert_eq!(training.tokens, 20.0 * parameters);
    assert!(plan.sources.iter().any(|source| source.source.source.contains("2203.15556")));
    assert_eq!(plan.warnings_of("rule_of_dense_models").count(), 0);
    // Chinchilla itself: 70 B on 1.4 T.
    let large = catalog().model("model", "llama-3.1-70b").unwrap().architecture.clone();
    assert!(near(TokensRule::Chinchilla.tokens(&large, Task::Pretrain).unwrap(), 1.4e12, 0.01));
    let experts = asked(|job| {
        job.model = serde_json::from_str("\"mixtral-8x7b\"").unwrap();
        job.tokens = None;
        job.tokens_rule = Some(TokensRule::Chinchilla);
        job.gpus = Some(64);
    });
    assert_eq!(experts.warnings_of("rule_of_dense_models").count(), 1);
    let active = catalog().model("model", "mixtral-8x7b").unwrap().architecture.active_parameters();
    assert_eq!(experts.training.unwrap().tokens, 20.0 * active);
}

#[test]
fn a_rate_is_picked_by_name_and_its_source_told() {
    let source = |plan: &Plan| {
        let of = |figure: &&rackrate::plan::FigureSource| {
            figure.kind == FigureKind::Reliability && figure.figure == "GPU-hours between interruptions"
        };
        plan.sources.iter().find(of).unwrap().source.clone()
    };
    let usual = asked(|_| {});
    assert!(source(&usual).source.contains("2407.21783"));
    assert_eq!(options(&usual)[0].losses.gpu_hours_per_interruption, 50_677.0);
    let named = asked(|job| job.reliability.rate = Some("OPT 175B".to_owned()));
    assert!(source(&named).source.contains("metaseq"));
    assert_eq!(options(&named)[0].losses.gpu_hours_per_interruption, 14_814.0);
    let own = asked(|job| job.reliability.gpu_hours_per_interruption = Some(50_677.0));
    assert_eq!(source(&own).source, "given in the scenario");
    assert_eq!(options(&own)[0].days, options(&usual)[0].days);
    // An overlay's rate is a rate like any other.
    let mut mine = question(|job| job.reliability.rate = Some("ours".to_owned()));
    let rows = "name,operator,system,counts,gpu_hours_per_event\nours,us,our cluster,interruptions,30000";
    mine.overlay = Some(serde_json::from_value(serde_json::json!({ "reliability": rows })).unwrap());
    let mine = plan(catalog(), &mine).unwrap();
    assert_eq!(options(&mine)[0].losses.gpu_hours_per_interruption, 30_000.0);
}

#[test]
fn the_range_of_rates_widens_the_interval_unless_the_rate_is_ones_own() {
    let large = |own: Option<f64>| {
        let plan = asked(|job| {
            job.model = serde_json::from_str("\"llama-3.1-405b\"").unwrap();
            job.tokens = Some(1e12);
            job.gpus = Some(8192);
            job.global_batch = Some(2048);
            job.shapes = vec![SHAPES[0].to_owned()];
            job.reliability.gpu_hours_per_interruption = own;
        });
        options(&plan)[0].clone()
    };
    let (usual, known) = (large(None), large(Some(50_677.0)));
    assert_eq!(usual.days, known.days);
    let step = &known.step.interval;
    assert!(near(known.days_interval.high / known.days, step.high / known.step.step_seconds, 1e-12));
    assert!(usual.days_interval.high > known.days_interval.high);
    assert!(usual.days_interval.low < known.days_interval.low);
    assert!(usual.days_interval.low < usual.days && usual.days < usual.days_interval.high);
    assert!(usual.goodput_interval.low < usual.goodput && usual.goodput < usual.goodput_interval.high);
    assert!(usual.days_interval.basis.contains("8 published systems"), "{}", usual.days_interval.basis);
    assert_eq!((known.goodput_interval.low, known.goodput_interval.high), (known.goodput, known.goodput));
}

#[test]
fn a_checkpoint_that_is_not_written_in_time_is_said() {
    let run = Reliability {
        checkpoint_interval_seconds: Some(10.0),
        checkpoint_stall_share: 0.0,
        checkpoint_gb_per_s_total: Some(1.0),
        ..Reliability::default()
    };
    let links = run.checkpoint_links(1.0, Some(12.5), None);
    let stuck = run.goodput(50_677.0, 8e9, 8.0, &links).unwrap_err();
    assert_eq!(stuck, Stuck::Overlap { interval: 10.0, background: 112.0 });
    let plan = asked(|job| job.reliability = run);
    assert!(plan.training.unwrap().refused.iter().all(|one| one.reason.contains("cannot be kept")));
}

#[test]
fn contradictions_are_named() {
    type Change = fn(&mut TrainingJob);
    let cases: [(&str, &str, Change); 9] = [
        ("training.budget_usd", "conflict", |job| job.budget_usd = Some(1e5)),
        ("training.tokens_rule", "conflict", |job| job.tokens_rule = Some(TokensRule::Chinchilla)),
        ("training.tokens", "missing_field", |job| job.tokens = None),
        ("training.gpus", "missing_field", |job| {
            (job.tokens, job.gpus, job.budget_usd) = (None, None, Some(1e5));
        }),
        ("training.tokens_rule", "conflict", |job| {
            (job.tokens, job.tokens_rule, job.task) = (None, Some(TokensRule::Chinchilla), Task::Lora);
        }),
        ("training.budget_usd", "out_of_range", |job| (job.tokens, job.budget_usd) = (None, Some(f64::NAN))),
        ("training.reliability.rate", "conflict", |job| {
            job.reliability.rate = Some("opt-175b".to_owned());
            job.reliability.gpu_hours_per_interruption = Some(1e4);
        }),
        ("training.reliability.rate", "unknown_name", |job| {
            job.reliability.rate = Some("opt-176b".to_owned());
        }),
        ("training.pauses.evaluation_seconds", "missing_field", |job| {
            job.pauses.evaluation_every_steps = Some(100);
        }),
    ];
    for (field, code, change) in cases {
        let error = refused(change);
        assert_eq!((error.field(), error.code()), (field, code), "{error}");
    }
}
