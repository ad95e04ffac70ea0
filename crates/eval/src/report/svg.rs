//! A small chart: axes with labels, and marks on them, as inline SVG.

use std::fmt::Write;

use super::escape;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
/// Room for labels: left, top, right, bottom.
const MARGIN: [f64; 4] = [64.0, 12.0, 16.0, 44.0];
/// Parts that an axis is labelled in, about.
const PARTS: f64 = 4.0;

/// Wong's palette, which people who see few colours can tell apart.
pub(super) const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// An axis from its first value to its last, with a title.
pub(super) struct Axis<'a> {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) title: &'a str,
}

impl Axis<'_> {
    /// Round numbers from its first value to its last.
    fn ticks(&self) -> Vec<f64> {
        let part = (self.to - self.from) / PARTS;
        let power = 10_f64.powf(part.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0].map(|digits| digits * power).into_iter().find(|step| *step >= part);
        let step = step.unwrap_or(10.0 * power);
        let (first, last) = ((self.from / step).ceil() as i64, (self.to / step).floor() as i64);
        (first..=last).map(|tick| tick as f64 * step).collect()
    }
}

/// A chart that marks are added to, in the units of its axes.
pub(super) struct Chart<'a> {
    x: Axis<'a>,
    y: Axis<'a>,
    marks: String,
}

impl<'a> Chart<'a> {
    /// An empty chart; an axis of no length gets one.
    pub(super) fn new(mut x: Axis<'a>, mut y: Axis<'a>) -> Self {
        for axis in [&mut x, &mut y] {
            if axis.to <= axis.from {
                axis.to = axis.from + 1.0;
            }
        }
        let mut chart = Self { x, y, marks: String::new() };
        chart.draw_axes();
        chart
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [left, top, right, bottom] = MARGIN;
        let across = (x - self.x.from) / (self.x.to - self.x.from);
        let up = (y - self.y.from) / (self.y.to - self.y.from);
        (left + across * (WIDTH - left - right), HEIGHT - bottom - up * (HEIGHT - top - bottom))
    }

    fn draw_axes(&mut self) {
        for y in self.y.ticks() {
            let ((x0, y0), (x1, _)) = (self.at(self.x.from, y), self.at(self.x.to, y));
            self.mark(format_args!("<line class=g x1={x0:.1} y1={y0:.1} x2={x1:.1} y2={y0:.1} />"));
            self.text(x0 - 6.0, y0 + 4.0, "end", &number(y));
        }
        for x in self.x.ticks() {
            let (x0, y0) = self.at(x, self.y.from);
            self.text(x0, y0 + 16.0, "middle", &number(x));
        }
        let (x, y) = ((WIDTH + MARGIN[0]) / 2.0, HEIGHT - 8.0);
        self.text(x, y, "middle", self.x.title);
        let title = escape(self.y.title);
        self.mark(format_args!(
            "<text transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=middle>{title}</text>",
            HEIGHT / 2.0
        ));
    }

    fn mark(&mut self, mark: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.marks.write_fmt(mark);
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escape(text);
        self.mark(format_args!("<text x={x:.1} y={y:.1} text-anchor={anchor}>{text}</text>"));
    }

    /// A line through `points` with a dot on each.
    pub(super) fn line(&mut self, points: &[(f64, f64)], colour: &str) {
        let path: Vec<String> =
            points.iter().map(|(x, y)| self.at(*x, *y)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.mark(format_args!(
            "<polyline points=\"{}\" fill=none stroke={colour} stroke-width=2 />",
            path.join(" ")
        ));
        points.iter().for_each(|(x, y)| self.dot(*x, *y, colour, ""));
    }

    /// A dot with words beside it.
    pub(super) fn dot(&mut self, x: f64, y: f64, colour: &str, label: &str) {
        let (x, y) = self.at(x, y);
        self.mark(format_args!("<circle cx={x:.1} cy={y:.1} r=4 fill={colour} />"));
        // Towards the middle, where there is room.
        let (beside, anchor) = if x > WIDTH / 2.0 { (x - 8.0, "end") } else { (x + 8.0, "start") };
        self.text(beside, y - 6.0, anchor, label);
    }

    /// A bar from zero to `y` between two values of x.
    pub(super) fn bar(&mut self, from: f64, to: f64, y: f64, colour: &str) {
        let ((x0, y0), (x1, y1)) = (self.at(from, 0.0), self.at(to, y));
        let (top, width, height) = (y0.min(y1), (x1 - x0).max(0.5), (y0 - y1).abs());
        self.mark(format_args!(
            "<rect x={x0:.1} y={top:.1} width={width:.2} height={height:.1} fill={colour} fill-opacity=.7 />"
        ));
    }

    /// The SVG with a legend of colours below; `alt` says in words what it shows.
    pub(super) fn finish(self, alt: &str, legend: &[(&str, &str)]) -> String {
        let key = |(colour, name): &(&str, &str)| {
            format!("<span><i style=\"background:{colour}\"></i>{}</span>", escape(name))
        };
        let legend: String = legend.iter().map(key).collect();
        let (alt, marks) = (escape(alt), self.marks);
        format!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{alt}\">{marks}</svg>\
             <figcaption>{legend}</figcaption></figure>"
        )
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{:.3}", value).trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_labelled_with_round_numbers() {
        let ticks =
            |from, to| Axis { from, to, title: "" }.ticks().into_iter().map(number).collect::<Vec<_>>();
        assert_eq!(ticks(0.0, 1.0), ["0", "0.25", "0.5", "0.75", "1"]);
        assert_eq!(ticks(-1.0, 1.0), ["-1", "-0.5", "0", "0.5", "1"]);
        assert_eq!(ticks(0.0, 34.532), ["0", "10", "20", "30"]);
        assert_eq!(ticks(0.0, 921.0), ["0", "250", "500", "750"]);
        assert_eq!(ticks(0.0, 0.934), ["0", "0.25", "0.5", "0.75"]);
    }
}
