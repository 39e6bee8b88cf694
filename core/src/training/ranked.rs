//! What a search keeps of the layouts that it has seen, and what it need not look at any more.

use super::layout::Layout;
use super::search::Found;

/// The best layouts so far. What takes as long is decided by its memory, and what takes as much too by its place among all layouts, so that
/// the order in which they come does not matter.
pub struct Ranked {
    keep: usize,
    /// Steps longer than this do not count.
    limit: f64,
    best: Vec<Point>,
    /// Undominated layouts, fastest first, so that each needs less memory than the one before; none if not sought.
    front: Option<Vec<Point>>,
    leanest: Option<Point>,
    /// Legal layouts looked at.
    pub considered: u64,
    /// Of them, those that fit.
    pub fitting: u64,
}

/// A layout with what it takes.
#[derive(Clone, Copy)]
struct Point {
    layout: Layout,
    place: u64,
    seconds: f64,
    gib: f64,
}

impl Point {
    fn is_before(&self, other: &Self) -> bool {
        let cost = |point: &Self| (point.seconds, point.gib);
        cost(self) < cost(other) || cost(self) == cost(other) && self.place < other.place
    }
}

impl Ranked {
    /// Nothing yet: `keep` layouts of steps no longer than `limit` seconds are wanted, and perhaps the front.
    pub fn new(keep: usize, limit: f64, front: bool) -> Self {
        Self {
            keep,
            limit,
            best: Vec::new(),
            front: front.then(Vec::new),
            leanest: None,
            considered: 0,
            fitting: 0,
        }
    }

    /// Whether the front is sought.
    pub fn seeks_front(&self) -> bool {
        self.front.is_some()
    }

    /// Whether steps beyond a limit of time do not count.
    pub fn is_limited(&self) -> bool {
        self.limit.is_finite()
    }

    /// Whether layouts with this floor need not even be counted: with a limit of time only what may be an answer is.
    pub fn too_slow(&self, floor: f64) -> bool {
        self.is_limited() && (floor > self.limit || self.front.is_none() && self.beaten(floor))
    }

    /// Whether a layout that takes more than `floor` seconds and so much memory is neither among the best nor on the front.
    pub fn hopeless(&self, floor: f64, gib: f64) -> bool {
        floor > self.limit || self.beaten(floor) && self.dominated(floor, gib)
    }

    /// Whether a layout that takes more than `floor` seconds cannot be among the best.
    fn beaten(&self, floor: f64) -> bool {
        self.best.len() == self.keep && self.best.last().is_some_and(|slowest| slowest.seconds <= floor)
    }

    /// Whether a layout that takes more than `floor` seconds and so much memory cannot be on the front.
    fn dominated(&self, floor: f64, gib: f64) -> bool {
        let Some(front) = &self.front else { return true };
        let faster = front.partition_point(|point| point.seconds <= floor);
        // The last of those as fast needs least memory of them.
        faster.checked_sub(1).and_then(|i| front.get(i)).is_some_and(|point| point.gib <= gib)
    }

    /// A layout that does not fit.
    pub fn lean(&mut self, layout: Layout, place: u64, gib: f64) {
        let less = |known: &Point| gib < known.gib || gib == known.gib && place < known.place;
        if self.leanest.as_ref().is_none_or(less) {
            self.leanest = Some(Point { layout, place, seconds: f64::INFINITY, gib });
        }
    }

    /// A layout that fits.
    pub fn offer(&mut self, layout: Layout, place: u64, seconds: f64, gib: f64) {
        if seconds > self.limit {
            return;
        }
        let point = Point { layout, place, seconds, gib };
        if let Some(front) = &mut self.front {
            let no_worse = |a: &Point, b: &Point| a.seconds <= b.seconds && a.gib <= b.gib;
            let beats = |a: &Point, b: &Point| no_worse(a, b) && (!no_worse(b, a) || a.place < b.place);
            if !front.iter().any(|known| beats(known, &point)) {
                front.retain(|known| !beats(&point, known));
                let at = front.partition_point(|known| known.seconds < seconds);
                front.insert(at, point);
            }
        }
        let at = self.best.partition_point(|known| known.is_before(&point));
        if at < self.keep {
            self.best.insert(at, point);
            self.best.truncate(self.keep);
        }
    }

    /// The answer.
    pub fn into_found(self) -> Found {
        let layouts = |points: Vec<Point>| points.into_iter().map(|point| point.layout).collect();
        Found {
            best: layouts(self.best),
            considered: self.considered,
            fitting: self.fitting,
            nearest: if self.fitting == 0 { self.leanest.map(|point| point.layout) } else { None },
            front: layouts(self.front.unwrap_or_default()),
        }
    }
}
