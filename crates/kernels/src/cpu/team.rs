//! Work that has parts, shared among the threads of a pool, which wait for the next one awake.

use std::any::Any;
use std::cell::Cell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::yield_now;

/// Does `work` on every part, on all threads; each of them makes its `scratch` once.
pub(crate) fn each<P: Send, S>(
    parts: Vec<P>,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, P) + Sync,
) {
    let parts: Vec<Mutex<Option<P>>> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    let share = |member: Member| {
        // Neighbours, and from one job to the next the same ones: what they read is in this thread's cache.
        let (others, own) = parts.split_at(parts.len() * member.index / member.count);
        let mut own_scratch = None;
        for part in own.iter().chain(others) {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner).take();
            part.into_iter().for_each(|part| work(own_scratch.get_or_insert_with(&scratch), part));
        }
    };
    together(|| match ROLE.get() {
        // SAFETY: it is there as long as this thread leads it.
        Role::Leader(team) => unsafe { &*team }.do_together(&share),
        Role::Outside | Role::InPart => share(Member { index: 0, count: 1 }),
    });
}

/// Does `work` on a thread of the pool, while the others wait awake for what it shares with them. Asleep, they would have to
/// be woken for every product, which takes longer than some of them.
pub fn together<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let threads = rayon::current_num_threads();
    if threads == 1 || ROLE.get() != Role::Outside {
        return work();
    }
    let team = &Team::default();
    rayon::scope(|scope| {
        let _end = End(team);
        let leader = rayon::current_thread_index();
        for index in 1..threads {
            scope.spawn(move |_| {
                // Some may find time when the work is done, this thread among them.
                if rayon::current_thread_index() != leader {
                    team.help(Member { index, count: threads });
                }
            });
        }
        in_role(Role::Leader(team), work)
    })
}

/// What a thread does.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Outside,
    /// It shares what has parts with a team.
    Leader(*const Team),
    /// It does a part; if that has parts, all of them, too: the others have theirs.
    InPart,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Outside) };
}

fn in_role<T>(role: Role, work: impl FnOnce() -> T) -> T {
    struct Before(Role);
    impl Drop for Before {
        fn drop(&mut self) {
            ROLE.set(self.0);
        }
    }
    let _before = Before(ROLE.replace(role));
    work()
}

/// Threads at the side of one, which shares one job after the other with them.
#[derive(Default)]
struct Team {
    /// Jobs that were begun or ended, in the upper half: an odd number while there is one. In the lower half, how many
    /// helpers are at it.
    state: AtomicU64,
    job: AtomicPtr<Job<'static>>,
    is_over: AtomicBool,
}

/// One of a team.
#[derive(Clone, Copy)]
struct Member {
    index: usize,
    count: usize,
}

/// What is shared: a thread that calls it does the parts that nobody has begun.
struct Job<'a> {
    share: &'a (dyn Fn(Member) + Sync),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Job<'_> {
    fn join_in(&self, member: Member) {
        let share = || in_role(Role::InPart, || (self.share)(member));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(share)) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
    }
}

/// Lets the threads go, also after a panic.
struct End<'a>(&'a Team);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

/// A job that begins or ends.
const STEP: u64 = 1 << 32;

impl Team {
    /// Shares a job, until all its parts are done.
    fn do_together(&self, share: &(dyn Fn(Member) + Sync)) {
        let job = Job { share, panic: Mutex::new(None) };
        self.job.store(ptr::from_ref(&job).cast_mut().cast(), Ordering::Relaxed);
        self.state.fetch_add(STEP, Ordering::Release);
        job.join_in(Member { index: 0, count: rayon::current_num_threads() });
        // Every part was begun: what is not done is done by helpers that are at it.
        self.state.fetch_add(STEP, Ordering::Relaxed);
        let mut rounds = 0;
        while !self.state.load(Ordering::Acquire).is_multiple_of(STEP) {
            wait(&mut rounds);
        }
        if let Some(panic) = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }

    /// Takes part in one job after the other.
    fn help(&self, member: Member) {
        let (mut last, mut rounds) = (0, 0);
        while !self.is_over.load(Ordering::Acquire) {
            let number = self.state.load(Ordering::Relaxed) / STEP;
            if number.is_multiple_of(2) || number == last {
                wait(&mut rounds);
                continue;
            }
            last = self.state.fetch_add(1, Ordering::Acquire) / STEP;
            if !last.is_multiple_of(2) {
                // SAFETY: a job that has not ended stays until no helper is at it.
                unsafe { &*self.job.load(Ordering::Relaxed) }.join_in(member);
            }
            self.state.fetch_sub(1, Ordering::Release);
            rounds = 0;
        }
    }
}

/// Waits a moment; from time to time others get the processor.
fn wait(rounds: &mut u32) {
    *rounds += 1;
    if rounds.is_multiple_of(64) { yield_now() } else { spin_loop() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// More threads than this machine has, so that they are stopped anywhere.
    fn in_threads(test: impl FnOnce() + Send) {
        rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap().install(test);
    }

    fn squares(count: usize) -> usize {
        let sum = AtomicUsize::new(0);
        each(
            (0..count).collect(),
            || (),
            |(), part| {
                sum.fetch_add(part * part, Ordering::Relaxed);
            },
        );
        sum.into_inner()
    }

    #[test]
    fn every_part_of_every_job_is_done_once() {
        let expected = |count: usize| (0..count).map(|part| part * part).sum::<usize>();
        in_threads(|| {
            together(|| {
                for round in 0..20_000 {
                    assert_eq!(squares(round % 40), expected(round % 40));
                }
            });
            assert_eq!(squares(100), expected(100));
        });
    }

    #[test]
    fn a_part_may_have_parts() {
        in_threads(|| {
            let sum = AtomicUsize::new(0);
            each(
                vec![10; 30],
                || (),
                |(), count| {
                    sum.fetch_add(squares(count), Ordering::Relaxed);
                },
            );
            assert_eq!(sum.into_inner(), 30 * 285);
        });
    }

    #[test]
    fn a_panic_is_that_of_the_caller_and_ends_nothing_else() {
        in_threads(|| {
            together(|| {
                for bad in 0..50 {
                    let done = AtomicUsize::new(0);
                    let job = || {
                        each(
                            (0..50).collect(),
                            || (),
                            |(), part| {
                                assert_ne!(part, bad);
                                done.fetch_add(1, Ordering::Relaxed);
                            },
                        );
                    };
                    assert!(catch_unwind(AssertUnwindSafe(job)).is_err());
                    assert!(done.into_inner() < 50);
                    assert_eq!(squares(3), 5);
                }
            });
        });
    }

    #[test]
    fn scratch_is_made_once_by_a_thread() {
        in_threads(|| {
            let made = AtomicUsize::new(0);
            each(vec![(); 1000], || made.fetch_add(1, Ordering::Relaxed), |_, ()| {});
            assert!((1..=7).contains(&made.into_inner()));
        });
    }
}
