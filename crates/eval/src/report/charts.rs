//! The report's charts.

use super::svg::{Axis, COLOURS, Chart};
use crate::{Bin, Calibration, Depth, Evaluation};

const SHARE: Axis<'static> = Axis { from: 0.0, to: 1.0, title: "score" };

/// nDCG@10 of every stage over the median latency that its reranker adds.
pub(super) fn quality_against_latency(evaluation: &Evaluation) -> String {
    let latency = |speed: &Option<crate::Speed>| speed.as_ref().map_or(0.0, |speed| speed.p50_ms);
    let slowest = evaluation.stages.iter().map(|stage| latency(&stage.speed)).fold(0.0, f64::max);
    let mut chart = Chart::new(
        Axis { from: 0.0, to: slowest * 1.05, title: "milliseconds a query for reranking, median" },
        Axis { from: 0.0, to: 1.0, title: "nDCG@10" },
    );
    for (place, stage) in evaluation.stages.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        chart.dot(latency(&stage.speed), stage.measures["ndcg@10"], colour, &stage.name);
    }
    chart.finish("nDCG@10 of every stage over its latency", &[])
}

/// nDCG@10, its bound and recall over the number of documents that are reranked.
pub(super) fn quality_against_depth(depths: &[Depth]) -> String {
    let deepest = depths.iter().map(|depth| depth.k).max().unwrap_or(1);
    let mut chart = Chart::new(
        Axis { from: 0.0, to: deepest as f64, title: "documents reranked, k" },
        Axis { from: 0.0, to: 1.0, title: "measure" },
    );
    let mut legend = Vec::new();
    let mut line = |colour: &'static str, name: &'static str, value: fn(&Depth) -> f64| {
        chart.line(&depths.iter().map(|depth| (depth.k as f64, value(depth))).collect::<Vec<_>>(), colour);
        legend.push((colour, name));
    };
    line(COLOURS[0], "recall of the k", |depth| depth.recall);
    line(COLOURS[1], "nDCG@10 in the best order", |depth| depth.oracle);
    line(COLOURS[2], "nDCG@10 reranked", |depth| depth.ndcg);
    chart.finish("nDCG@10 and recall over the depth of reranking", &legend)
}

/// The change of nDCG@10 of every query, the greatest gain first.
pub(super) fn changes(sorted: &[f64]) -> String {
    let mut chart = Chart::new(
        Axis {
            from: 0.0,
            to: sorted.len() as f64,
            title: "queries, from the greatest gain to the greatest loss",
        },
        Axis { from: -1.0, to: 1.0, title: "change of nDCG@10" },
    );
    for (place, change) in sorted.iter().enumerate() {
        let colour = if *change < 0.0 { COLOURS[1] } else { COLOURS[0] };
        chart.bar(place as f64, place as f64 + 1.0, *change, colour);
    }
    chart.finish("The change of nDCG@10 of every query", &[(COLOURS[0], "better"), (COLOURS[1], "worse")])
}

/// How scores of relevant and of other documents are distributed.
pub(super) fn distribution(calibration: &Calibration) -> String {
    let total = |of: fn(&Bin) -> usize| calibration.bins.iter().map(of).sum::<usize>().max(1) as f64;
    let (relevant, other) = (total(|bin| bin.relevant), total(|bin| bin.other));
    let highest = calibration.bins.iter().fold(0.0_f64, |highest, bin| {
        highest.max(bin.relevant as f64 / relevant).max(bin.other as f64 / other)
    });
    let mut chart = Chart::new(SHARE, Axis { from: 0.0, to: highest, title: "share of its pairs" });
    let width = 1.0 / calibration.bins.len() as f64;
    for (place, bin) in calibration.bins.iter().enumerate() {
        let from = place as f64 * width;
        chart.bar(from, from + width / 2.0, bin.relevant as f64 / relevant, COLOURS[0]);
        chart.bar(from + width / 2.0, from + width, bin.other as f64 / other, COLOURS[1]);
    }
    let legend = [(COLOURS[0], "relevant"), (COLOURS[1], "not relevant, or not judged")];
    chart.finish("The distribution of scores", &legend)
}

/// The share of relevant documents in every bin of scores; a calibrated score lies on the diagonal.
pub(super) fn calibration(calibration: &Calibration) -> String {
    let mut chart = Chart::new(SHARE, Axis { from: 0.0, to: 1.0, title: "share that is relevant" });
    chart.line(&[(0.0, 0.0), (1.0, 1.0)], "#999");
    let width = 1.0 / calibration.bins.len() as f64;
    let filled = calibration.bins.iter().enumerate().filter(|(_, bin)| bin.relevant + bin.other > 0);
    let point = |(place, bin): (usize, &Bin)| {
        ((place as f64 + 0.5) * width, bin.relevant as f64 / (bin.relevant + bin.other) as f64)
    };
    chart.line(&filled.map(point).collect::<Vec<_>>(), COLOURS[0]);
    chart.finish(
        "The share of relevant documents over the score",
        &[(COLOURS[0], "measured"), ("#999", "calibrated")],
    )
}
